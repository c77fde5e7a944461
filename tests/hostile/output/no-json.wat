;; Derives an output that is not JSON.
;; hook: output.derive-outputs
;; expect: contract
;; says: JSON

(data (i32.const 256) "name{oops")
(data (i32.const 512) "\00\01\00\00\04\00\00\00\04\01\00\00\05\00\00\00")
(func (export "capstan:plugin/output@0.1.0#derive-outputs") (param $step i32) (param i32 i32 i32 i32) (result i32)
  (call $drop-step (local.get $step))
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 512))
  (i32.store (i32.const 8) (i32.const 1))
  (i32.const 0))
