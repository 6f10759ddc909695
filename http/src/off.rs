//! Work that keeps a thread busy, off the threads that serve connections. Sets no limit to how much of it
//! there is.

use crate::error::Error;

/// Does work on a thread that may be busy for a while.
///
/// # Errors
/// The server is shutting down, or the work was lost.
pub async fn off_thread<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::Internal("internal_server_error", "work was lost".into()))
}
