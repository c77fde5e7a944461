;; Declares a shape that there is not.
;; hook: diff.process
;; expect: trap

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32) (i32.const 9))
