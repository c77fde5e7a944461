;; Crashes on the diff.
;; hook: diff.process
;; expect: trap

(func (export "capstan:plugin/diff@0.1.0#process") (param $job i32) (param $diff i32) (param $edits i32) (result i32)
  (unreachable))
