;; May rewrite, and changes what the file was before.
;; hook: diff.process
;; expect: contract

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32) (i32.const 3))
(data (i32.const 1024) "-something that was never there\n+two\n")
(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32) (local $file i32) (local $hunk i32)
  ;; option<file>: present at 512, handle at 516; then option<hunk> the same way.
  (call $next-file (local.get $diff) (i32.const 512))
  (local.set $file (i32.load (i32.const 516)))
  (call $next-hunk (local.get $file) (i32.const 512))
  (local.set $hunk (i32.load (i32.const 516)))
  (call $replace-hunk (local.get $edits) (local.get $hunk) (i32.const 1024) (i32.const 37) (i32.const 512))
  (call $drop-hunk (local.get $hunk))
  (call $drop-file (local.get $file))
  (call $drop-job (local.get $job))
  (call $drop-diff (local.get $diff))
  (call $drop-edits (local.get $edits))
  (call $done))
