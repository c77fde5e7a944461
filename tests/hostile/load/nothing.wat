;; A component that has no hook and is no command.
;; hook: load
;; expect: link
;; says: no hook

(component)
