;; Crashes on the first chunk.
;; hook: output.filter
;; expect: trap

(func (export "capstan:plugin/output@0.1.0#[method]filter.push") (param i32 i32 i32) (result i32) (unreachable))
