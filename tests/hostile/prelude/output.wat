;; A well-behaved output plugin, of which every case in `../output` replaces what it defines itself.
;; Pieces are parted by blank lines; one is left out where the case exports the same function. Imports come first.

(import "capstan:plugin/step@0.1.0" "[resource-drop]step" (func $drop-step (param i32)))
(import "[export]capstan:plugin/output@0.1.0" "[resource-new]filter" (func $new-filter (param i32) (result i32)))

(memory (export "memory") 3)

(global $heap (mut i32) (i32.const 65536))

(func $realloc (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))

(func (export "capstan:plugin/output@0.1.0#chunking") (param $step i32) (param $channel i32) (result i32)
  (call $drop-step (local.get $step))
  (i32.const 0))

(func (export "capstan:plugin/output@0.1.0#[constructor]filter") (param $step i32) (param $channel i32) (result i32)
  (call $drop-step (local.get $step))
  (call $new-filter (i32.const 1)))

;; ok(the chunk), at 0.
(func (export "capstan:plugin/output@0.1.0#[method]filter.push") (param $self i32) (param $at i32) (param $length i32) (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (local.get $at))
  (i32.store (i32.const 8) (local.get $length))
  (global.set $heap (i32.const 65536))
  (i32.const 0))

;; ok(nothing), at 0.
(func (export "capstan:plugin/output@0.1.0#[method]filter.finish") (param $self i32) (result i32)
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 0))
  (i32.store (i32.const 8) (i32.const 0))
  (i32.const 0))

;; ok(none), at 0.
(func (export "capstan:plugin/output@0.1.0#derive-outputs") (param $step i32) (param i32 i32 i32 i32) (result i32)
  (call $drop-step (local.get $step))
  (i32.store (i32.const 0) (i32.const 0))
  (i32.store (i32.const 4) (i32.const 0))
  (i32.store (i32.const 8) (i32.const 0))
  (i32.const 0))
