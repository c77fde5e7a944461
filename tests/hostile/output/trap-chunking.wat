;; Crashes where it is asked how it wants its chunks.
;; hook: output.filter
;; expect: trap

(func (export "capstan:plugin/output@0.1.0#chunking") (param i32 i32) (result i32) (unreachable))
