;; Crashes where it is asked about a diff.
;; hook: policy.check-diff
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-diff") (param i32 i32) (result i32) (unreachable))
