;; May rewrite, and replaces a hunk with 100 MiB.
;; hook: diff.process
;; expect: too-much

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32) (i32.const 3))
(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32) (local $file i32) (local $hunk i32)
  (drop (memory.grow (i32.const 1700)))
  (call $next-file (local.get $diff) (i32.const 512))
  (local.set $file (i32.load (i32.const 516)))
  (call $next-hunk (local.get $file) (i32.const 512))
  (local.set $hunk (i32.load (i32.const 516)))
  (call $replace-hunk (local.get $edits) (local.get $hunk) (i32.const 65536) (i32.const 104857600) (i32.const 512))
  (unreachable))
