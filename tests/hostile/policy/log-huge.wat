;; Logs one message of 32 MiB.
;; hook: policy.check-step
;; expect: too-much

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (drop (memory.grow (i32.const 600)))
  (call $log (i32.const 2) (i32.const 65536) (i32.const 33554432))
  (unreachable))
