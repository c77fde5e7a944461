;; Has a policy whose function takes something else than the contract says.
;; hook: load
;; expect: link
;; says: check-job

(component
  (core module $m
    (func (export "f") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m))
  (func $f (param "number" u32) (result u32) (canon lift (core func $i "f")))
  (instance $policy
    (export "check-job" (func $f))
    (export "check-step" (func $f))
    (export "check-diff" (func $f)))
  (export "capstan:plugin/policy@0.1.0" (instance $policy)))
