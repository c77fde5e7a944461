;; Was built against a version of the contract that this host does not have.
;; hook: load
;; expect: link
;; says: capstan:plugin/log@0.2.0

(component
  (import "capstan:plugin/log@0.2.0" (instance
    (export "flush" (func)))))
