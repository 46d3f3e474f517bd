//! What a link reads from and writes to.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connected socket, with TLS above it or without, or a pipe in memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}
