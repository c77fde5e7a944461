;; Gives the host room that lies outside of its memory.
;; hook: policy.check-step
;; expect: trap

(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -16))
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $config (i32.const 128))
  (unreachable))
