;; Refuses with a reason that would take over a terminal.
;; hook: policy.check-step
;; expect: refuse rule

(data (i32.const 256) "rule")
(data (i32.const 264) "\1b]0;owned\07\1b[2J\0d\0aok: done")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $refuse (i32.const 256) (i32.const 4) (i32.const 264) (i32.const 24) (i32.const 0) (i32.const 0)))
