;; A well-behaved diff plugin, of which every case in `../diff` replaces what it defines itself.
;; Pieces are parted by blank lines; one is left out where the case exports the same function. Imports come first.

(import "capstan:plugin/job@0.1.0" "[resource-drop]job" (func $drop-job (param i32)))
(import "capstan:plugin/changes@0.1.0" "[resource-drop]diff" (func $drop-diff (param i32)))
(import "capstan:plugin/changes@0.1.0" "[resource-drop]file" (func $drop-file (param i32)))
(import "capstan:plugin/changes@0.1.0" "[resource-drop]hunk" (func $drop-hunk (param i32)))
(import "capstan:plugin/changes@0.1.0" "[resource-drop]edits" (func $drop-edits (param i32)))
(import "capstan:plugin/changes@0.1.0" "[method]diff.next-file" (func $next-file (param i32 i32)))
(import "capstan:plugin/changes@0.1.0" "[method]file.next-hunk" (func $next-hunk (param i32 i32)))
(import "capstan:plugin/changes@0.1.0" "[method]edits.replace-hunk" (func $replace-hunk (param i32 i32 i32 i32 i32)))
(import "capstan:plugin/changes@0.1.0" "[method]edits.annotate" (func $annotate (param i32 i32 i32 i32 i32 i32 i32 i32)))

(memory (export "memory") 3)

(global $heap (mut i32) (i32.const 65536))

(func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))

;; ok(done), at 0.
(func $done (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 0))
  (i32.const 0))

(func (export "capstan:plugin/diff@0.1.0#declare") (result i32)
  (i32.const 0))

(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-diff (local.get $diff))
  (call $drop-edits (local.get $edits))
  (call $done))
