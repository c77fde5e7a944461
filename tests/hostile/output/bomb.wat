;; Answers a few bytes with 16 MiB.
;; hook: output.filter
;; expect: too-much

(func (export "capstan:plugin/output@0.1.0#[method]filter.push") (param i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 300)))
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 65536))
  (i32.store (i32.const 8) (i32.const 16777216))
  (i32.const 0))
