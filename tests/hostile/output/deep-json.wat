;; Derives an output that nests 100 000 arrays.
;; hook: output.derive-outputs
;; expect: contract
;; says: JSON

(data (i32.const 256) "name")
(func (export "capstan:plugin/output@0.1.0#derive-outputs") (param $step i32) (param i32 i32 i32 i32) (result i32)
  (call $drop-step (local.get $step))
  (drop (memory.grow (i32.const 4)))
  (memory.fill (i32.const 131072) (i32.const 91) (i32.const 100000))
  (i32.store (i32.const 512) (i32.const 256))
  (i32.store (i32.const 516) (i32.const 4))
  (i32.store (i32.const 520) (i32.const 131072))
  (i32.store (i32.const 524) (i32.const 100000))
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 512))
  (i32.store (i32.const 8) (i32.const 1))
  (i32.const 0))
