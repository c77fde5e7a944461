//! Steps in containers of Docker, or of anything that speaks its API.
