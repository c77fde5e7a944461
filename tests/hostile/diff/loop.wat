;; Computes on the diff for ever.
;; hook: diff.process
;; expect: out-of-cpu

(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32)
  (loop $again (br $again))
  (unreachable))
