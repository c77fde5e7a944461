;; Computes on a chunk for ever.
;; hook: output.filter
;; expect: out-of-cpu

(func (export "capstan:plugin/output@0.1.0#[method]filter.push") (param i32 i32 i32) (result i32)
  (loop $again (br $again))
  (unreachable))
