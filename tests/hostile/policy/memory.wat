;; Grows its memory until it gets no more, then gives up.
;; hook: policy.check-step
;; expect: out-of-memory
;; says: memory

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again
    (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  (unreachable))
