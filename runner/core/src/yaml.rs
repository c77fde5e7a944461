//! YAML read as go-yaml v3 reads it, with places.
