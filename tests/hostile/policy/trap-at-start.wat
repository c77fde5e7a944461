;; Crashes before it can be called.
;; hook: policy.check-step
;; expect: trap

(start $start)
(func $start (unreachable))
