;; Refuses with a reason that could be copied but is too long for an answer.
;; hook: policy.check-step
;; expect: too-much

(data (i32.const 256) "rule")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (drop (memory.grow (i32.const 32)))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $refuse (i32.const 256) (i32.const 4) (i32.const 65536) (i32.const 1048576) (i32.const 0) (i32.const 0)))
