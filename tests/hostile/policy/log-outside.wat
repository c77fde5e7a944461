;; Logs a message that lies outside of its memory.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $log (i32.const 2) (i32.const -64) (i32.const 4096))
  (unreachable))
