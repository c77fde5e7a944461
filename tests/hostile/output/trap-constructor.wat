;; Crashes where a filter is made.
;; hook: output.filter
;; expect: trap

(func (export "capstan:plugin/output@0.1.0#[constructor]filter") (param i32 i32) (result i32) (unreachable))
