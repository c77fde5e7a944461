;; Uses a handle that it was never given.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-step (i32.const 4242))
  (unreachable))
