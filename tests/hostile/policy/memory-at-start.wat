;; Declares more memory than it may ever have.
;; hook: policy.check-step
;; expect: out-of-memory
;; says: memory

(memory $huge 60000)
