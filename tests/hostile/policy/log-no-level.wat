;; Logs with a level that there is not.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $log (i32.const 77) (i32.const 0) (i32.const 0))
  (unreachable))
