//! What is known of mounted files, for the cache key.
