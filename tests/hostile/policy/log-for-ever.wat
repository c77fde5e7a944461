;; Logs without end.
;; hook: policy.check-step
;; expect: out-of-cpu

(data (i32.const 256) "noise noise noise noise noise noise noise noise noise noise noise")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again
    (call $log (i32.const 2) (i32.const 256) (i32.const 64))
    (br $again))
  (unreachable))
