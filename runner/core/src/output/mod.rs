//! From an output's text to its value.
