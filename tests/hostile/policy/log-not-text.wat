;; Logs bytes that are no text.
;; hook: policy.check-step
;; expect: trap

(data (i32.const 256) "\ff\fe\c0\80")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $log (i32.const 2) (i32.const 256) (i32.const 4))
  (unreachable))
