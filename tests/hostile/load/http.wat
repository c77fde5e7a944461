;; Wants to send HTTP requests.
;; hook: load
;; expect: link
;; says: wasi:http/outgoing-handler@0.2.6

(component
  (import "wasi:http/outgoing-handler@0.2.6" (instance
    (export "handle" (func)))))
