;; Logs ten times what is kept, then answers.
;; hook: policy.check-step
;; expect: keep

(data (i32.const 256) "noise noise noise noise noise noise noise noise noise noise noise")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $i i32)
  (loop $again
    (call $log (i32.const 2) (i32.const 256) (i32.const 64))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $i) (i32.const 10240))))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $keep))
