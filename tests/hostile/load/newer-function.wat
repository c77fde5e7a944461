;; Calls a function that this host's version of the interface does not have.
;; hook: load
;; expect: link
;; says: flush

(component
  (import "capstan:plugin/log@0.1.7" (instance
    (export "flush" (func)))))
