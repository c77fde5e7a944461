;; Has a policy of a later line of the contract only: nothing that this host could call.
;; hook: load
;; expect: link
;; says: capstan:plugin/policy@0.9.0

(component
  (instance $policy)
  (export "capstan:plugin/policy@0.9.0" (instance $policy)))
