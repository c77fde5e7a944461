//! What a step in WebAssembly is, as far as its texts say: which component, with what arguments, on what input.
//!
//! ```yaml
//! container: wasm://./tools/rename.wasm   # a Reference
//! run: |
//!   --from colour --to 'colour of'        # an Invocation: its first line are the arguments,
//!   all that follows                      # the rest is standard input
//! ```

mod invocation;
mod reference;
pub mod words;

pub use self::invocation::{Invocation, InvocationError};
pub use self::reference::{Place, Reference, ReferenceError};
pub use self::words::WordsError;

/// What a `container` that is a component begins with.
pub const SCHEME: &str = "wasm://";

/// Whether the text of a `container`, rendered or not, is certainly a component's.
pub fn is_component(container: &str) -> bool {
    container.starts_with(SCHEME)
}
