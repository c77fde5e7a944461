;; Computes for ever.
;; hook: policy.check-step
;; expect: out-of-cpu

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again (br $again))
  (unreachable))
