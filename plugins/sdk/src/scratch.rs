//! Keys and values that a plugin keeps from one call to the next of the same job.
//!
//! Every call has an instance of its own, so `static` variables are forgotten; this is not. It is private to the
//! plugin and gone when the job ends.

use crate::{Error, Result, host};

/// The value of a key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::scratch::get(key)
}

/// Stores a value, replacing the one that was there.
///
/// # Errors
///
/// If the plugin's quota for the job is used up, or the key is empty or longer than 256 bytes.
pub fn set(key: &str, value: &[u8]) -> Result<()> {
    use host::scratch::StoreError;
    host::scratch::set(key, value).map_err(|error| match error {
        StoreError::Quota => Error::new(
            "scratch",
            format!(
                "there is no room left for the value of {key:?}; delete keys that are not needed"
            ),
        ),
        StoreError::Key => Error::new(
            "scratch",
            format!("the key {key:?} is empty or longer than 256 bytes"),
        ),
    })
}

/// Forgets a key, if it is there.
pub fn delete(key: &str) {
    host::scratch::delete(key);
}

/// All keys, in byte order.
pub fn keys() -> Vec<String> {
    host::scratch::keys()
}
