;; Makes amendments without end and keeps them all.
;; hook: policy.check-step
;; expect: too-much

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again
    (drop (call $amendment))
    (br $again))
  (unreachable))
