;; Fills its scratch until it is told that it is full, then answers.
;; hook: policy.check-step
;; expect: keep

(data (i32.const 256) "key0")
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32) (local $i i32)
  (loop $again
    ;; Another key each time.
    (i32.store (i32.const 256) (local.get $i))
    (i32.store8 (i32.const 259) (i32.const 65))
    (i32.store8 (i32.const 256) (i32.add (i32.const 65) (i32.rem_u (local.get $i) (i32.const 26))))
    (i32.store8 (i32.const 257) (i32.add (i32.const 65) (i32.rem_u (i32.div_u (local.get $i) (i32.const 26)) (i32.const 26))))
    (i32.store8 (i32.const 258) (i32.add (i32.const 65) (i32.div_u (local.get $i) (i32.const 676))))
    (call $scratch-set (i32.const 256) (i32.const 4) (i32.const 65536) (i32.const 4096) (i32.const 512))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $i) (i32.const 2000))))
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $keep))
