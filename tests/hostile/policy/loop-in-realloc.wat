;; Computes for ever where the host only asks for room.
;; hook: policy.check-step
;; expect: out-of-cpu

(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (loop $again (br $again))
  (unreachable))
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $config (i32.const 128))
  (unreachable))
