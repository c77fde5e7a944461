;; Asks for the next file for ever.
;; hook: diff.process
;; expect: out-of-cpu

(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32)
  (loop $again
    (call $next-file (local.get $diff) (i32.const 512))
    (br $again))
  (unreachable))
