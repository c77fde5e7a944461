;; Crashes where it is asked about a job.
;; hook: policy.check-job
;; expect: trap

(func (export "capstan:plugin/policy@0.1.0#check-job") (param i32) (result i32) (unreachable))
