;; Refuses with a reason that is no text.
;; hook: policy.check-step
;; expect: trap

(data (i32.const 256) "rule")
(data (i32.const 264) "\ff\fe\fd")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $refuse (i32.const 256) (i32.const 4) (i32.const 264) (i32.const 3) (i32.const 0) (i32.const 0)))
