;; Gives back twice what was lent to it.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-job (local.get $job))
  (unreachable))
