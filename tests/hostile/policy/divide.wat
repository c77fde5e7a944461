;; Divides by zero.
;; hook: policy.check-step
;; expect: trap
;; says: divide by zero

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (i32.div_u (i32.const 1) (i32.const 0)))
