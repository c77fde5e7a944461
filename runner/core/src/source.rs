//! Places in a document, and errors that point at them.
