;; A core module and not a component.
;; hook: load
;; expect: not-a-component
;; says: core module

(module
  (func (export "_start")))
