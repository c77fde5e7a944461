;; A well-behaved policy plugin, of which every case in `../policy` replaces what it defines itself.
;; Pieces are parted by blank lines; one is left out where the case exports the same function. Imports come first.

(import "capstan:plugin/job@0.1.0" "[resource-drop]job" (func $drop-job (param i32)))
(import "capstan:plugin/step@0.1.0" "[resource-drop]step" (func $drop-step (param i32)))
(import "capstan:plugin/changes@0.1.0" "[resource-drop]diff" (func $drop-diff (param i32)))
(import "capstan:plugin/step@0.1.0" "[resource-drop]amendment" (func $drop-amendment (param i32)))
(import "capstan:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(import "capstan:plugin/config@0.1.0" "json" (func $config (param i32)))
(import "capstan:plugin/scratch@0.1.0" "set" (func $scratch-set (param i32 i32 i32 i32 i32)))
(import "capstan:plugin/step@0.1.0" "[constructor]amendment" (func $amendment (result i32)))
(import "capstan:plugin/step@0.1.0" "[method]amendment.set-memory" (func $set-memory (param i32 i32)))
(import "capstan:plugin/step@0.1.0" "[method]amendment.set-environment" (func $set-environment (param i32 i32 i32 i32 i32)))
(import "capstan:plugin/step@0.1.0" "[method]amendment.add-mount" (func $add-mount (param i32 i32 i32 i32 i32 i32)))

(memory (export "memory") 3)

(global $heap (mut i32) (i32.const 65536))

(func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))

;; ok(keep), at 0.
(func $keep (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 0))
  (i32.const 0))

;; ok(change(amendment)), at 0.
(func $change (param $amendment i32) (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 1))
  (i32.store (i32.const 8) (local.get $amendment))
  (i32.const 0))

;; ok(refuse(rule, reason, details)), at 0; each is an address and a length.
(func $refuse (param i32 i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 2))
  (i32.store (i32.const 8) (local.get 0))
  (i32.store (i32.const 12) (local.get 1))
  (i32.store (i32.const 16) (local.get 2))
  (i32.store (i32.const 20) (local.get 3))
  (i32.store (i32.const 24) (local.get 4))
  (i32.store (i32.const 28) (local.get 5))
  (i32.const 0))

(func (export "capstan:plugin/policy@0.1.0#check-job") (param $job i32) (result i32)
  (call $drop-job (local.get $job))
  (call $keep))

(func (export "capstan:plugin/policy@0.1.0#check-step") (param $job i32) (param $step i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-step (local.get $step))
  (call $keep))

(func (export "capstan:plugin/policy@0.1.0#check-diff") (param $job i32) (param $diff i32) (result i32)
  (call $drop-job (local.get $job))
  (call $drop-diff (local.get $diff))
  (call $keep))
