;; Collects changes without end in one amendment.
;; hook: policy.check-step
;; expect: too-much

(data (i32.const 256) "NAME")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $a i32)
  (local.set $a (call $amendment))
  (loop $again
    (call $set-environment (local.get $a) (i32.const 256) (i32.const 4) (i32.const 65536) (i32.const 4096))
    (br $again))
  (unreachable))
