;; Declares a table of ten million entries.
;; hook: policy.check-step
;; expect: too-much
;; says: table

(table $huge 10000000 funcref)
