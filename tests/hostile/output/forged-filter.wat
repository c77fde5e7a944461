;; Answers the constructor with a filter that it never made.
;; hook: output.filter
;; expect: trap

(func (export "capstan:plugin/output@0.1.0#[constructor]filter") (param $step i32) (param i32) (result i32)
  (call $drop-step (local.get $step))
  (i32.const 77))
