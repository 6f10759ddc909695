//! [`Desk`]: what the program answers when the front of another node asks on behalf of a client.
//! Questions and answers are the fronts' own business and opaque to this room.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::Error;

/// Bytes of the longest question.
pub const LONGEST: usize = 1 << 20;

/// What an answer will be.
pub type Answering = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// Who answers other nodes. They have proved the cluster's secret, and checked who their client is.
pub trait Desk: Send + Sync + 'static {
    /// Answers a question.
    fn answer(&self, question: Bytes) -> Answering;
}
