;; Answers with a place that is not aligned.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (i32.const 3))
