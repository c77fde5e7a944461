;; Refuses with hundreds of millions of details.
;; hook: policy.check-step
;; expect: trap

(data (i32.const 256) "rule")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $refuse (i32.const 256) (i32.const 4) (i32.const 256) (i32.const 4) (i32.const 1024) (i32.const 268435455)))
