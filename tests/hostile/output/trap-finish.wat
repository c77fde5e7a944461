;; Crashes at the end of the stream.
;; hook: output.filter
;; expect: trap

(func (export "capstan:plugin/output@0.1.0#[method]filter.finish") (param i32) (result i32) (unreachable))
