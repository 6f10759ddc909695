//! A batch that a copy has decided and promised to make durable. Says only whether it did.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::Error;
use crate::mesh::RemoteDurable;

/// Waits for a copy's promise.
pub(crate) struct Durable(Promise);

enum Promise {
    Local { told: oneshot::Receiver<Result<(), settee_engine::Error>>, patience: Duration },
    Remote(Box<RemoteDurable>),
}

impl Durable {
    /// A copy on this node, whose log calls back.
    pub(crate) fn local(
        told: oneshot::Receiver<Result<(), settee_engine::Error>>,
        patience: Duration,
    ) -> Durable {
        Durable(Promise::Local { told, patience })
    }

    pub(crate) fn remote(rest: RemoteDurable) -> Durable {
        Durable(Promise::Remote(Box::new(rest)))
    }

    /// Until it is durable. What fails with [`Error::Timeout`] may still come true.
    pub(crate) async fn wait(self) -> Result<(), Error> {
        match self.0 {
            Promise::Local { told, patience } => match tokio::time::timeout(patience, told).await {
                Ok(Ok(done)) => Ok(done?),
                Ok(Err(_)) => Err(Error::Closing),
                Err(_) => Err(Error::Timeout),
            },
            Promise::Remote(rest) => rest.wait().await,
        }
    }
}
