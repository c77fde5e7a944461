;; Annotates one file without end.
;; hook: diff.process
;; expect: too-much

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32) (i32.const 2))
(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32) (local $file i32) (local $hunk i32)
  (call $next-file (local.get $diff) (i32.const 512))
  (local.set $file (i32.load (i32.const 516)))
  (loop $again
    (call $annotate (local.get $edits) (local.get $file) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const 60000) (i32.const 512))
    (br $again))
  (unreachable))
