;; Crashes where it is asked for its shape.
;; hook: diff.process
;; expect: trap

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32) (unreachable))
