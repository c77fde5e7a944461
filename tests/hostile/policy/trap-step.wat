;; Crashes where it is asked about a step.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (unreachable))
