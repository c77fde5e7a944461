;; Keeps the processor inside single instructions that no tick interrupts.
;; hook: policy.check-step
;; expect: out-of-cpu

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (drop (memory.grow (i32.const 900)))
  (loop $again
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 58000000))
    (br $again))
  (unreachable))
