;; Declares more memory than it may ever have.
;; hook: policy.check-step
;; expect: out-of-memory
;; says: MiB

(memory $huge 60000)
