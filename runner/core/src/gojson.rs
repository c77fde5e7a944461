//! JSON as Go's encoder writes it, byte for byte.
