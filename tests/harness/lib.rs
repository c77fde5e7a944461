//! The hermetic world in which the end-to-end tests run the capstan binary.
