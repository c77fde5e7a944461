;; Keeps everything and needs more memory with every chunk.
;; hook: output.filter
;; expect: out-of-memory

(func (export "capstan:plugin/output@0.1.0#[method]filter.push") (param i32 i32 i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then (unreachable)))
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 0))
  (i32.store (i32.const 8) (i32.const 0))
  (i32.const 0))
