;; Has a policy that lacks a function of the contract.
;; hook: load
;; expect: link
;; says: check-job

(component
  (instance $policy)
  (export "capstan:plugin/policy@0.1.0" (instance $policy)))
