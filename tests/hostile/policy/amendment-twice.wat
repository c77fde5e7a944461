;; Answers with an amendment that it has already thrown away.
;; hook: policy.check-step
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $a i32)
  (local.set $a (call $amendment))
  (call $drop-amendment (local.get $a))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $change (local.get $a)))
