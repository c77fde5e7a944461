;; Grows several memories, each of which would be small enough.
;; hook: policy.check-step
;; expect: out-of-memory
;; says: memory

(memory $b 1)
(memory $c 1)
(memory $d 1)
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again
    (br_if $again (i32.ne (i32.const -1) (memory.grow $b (i32.const 16))))
    (br_if $again (i32.ne (i32.const -1) (memory.grow $c (i32.const 16))))
    (br_if $again (i32.ne (i32.const -1) (memory.grow $d (i32.const 16)))))
  (unreachable))
