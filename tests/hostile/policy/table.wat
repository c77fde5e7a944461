;; Grows a table until it gets no more.
;; hook: policy.check-step
;; expect: too-much
;; says: table

(table $t 1 funcref)
(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (loop $again
    (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
  (unreachable))
