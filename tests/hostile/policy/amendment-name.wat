;; Sets a variable whose name would set another one.
;; hook: policy.check-step
;; expect: contract
;; says: name

(data (i32.const 256) "A=1\00B")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $a i32)
  (local.set $a (call $amendment))
  (call $set-environment (local.get $a) (i32.const 256) (i32.const 5) (i32.const 0) (i32.const 0))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $change (local.get $a)))
