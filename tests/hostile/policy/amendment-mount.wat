;; Mounts something at a path that is not absolute.
;; hook: policy.check-step
;; expect: contract
;; says: target

(data (i32.const 256) "/etc../work/x")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $a i32)
  (local.set $a (call $amendment))
  (call $add-mount (local.get $a) (i32.const 256) (i32.const 4) (i32.const 260) (i32.const 9) (i32.const 0))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $change (local.get $a)))
