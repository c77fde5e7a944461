;; Computes for ever before it can be called.
;; hook: policy.check-step
;; expect: out-of-cpu

(start $start)
(func $start (loop $again (br $again)))
