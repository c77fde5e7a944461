;; Calls itself without end.
;; hook: policy.check-step
;; expect: trap
;; says: nested too deeply, in deeper

(func $deeper (param i32) (result i32)
  (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $deeper (i32.const 0)))
