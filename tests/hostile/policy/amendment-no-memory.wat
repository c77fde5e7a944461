;; Gives a step no memory at all.
;; hook: policy.check-step
;; expect: contract
;; says: memory

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $a i32)
  (local.set $a (call $amendment))
  (call $set-memory (local.get $a) (i32.const 0))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $change (local.get $a)))
