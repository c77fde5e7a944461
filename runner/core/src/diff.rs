//! Git diffs: reading them, naming what changed, splitting them.
