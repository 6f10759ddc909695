//! An attachment on its way into one copy. What it is given is worked on while the next bytes come.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::Shard;
use settee_engine::shard::ChunkWriter;
use settee_model::doc::{Chunk, Hold};
use tokio::task::JoinHandle;

use crate::Error;
use crate::mesh::RemoteUpload;
use crate::steps::{Steps, blocking, off};

/// The way to one copy. Dropping it gives up; what was written is garbage for the compactor.
pub(crate) struct Lane(Steps<Way, Result<(), Error>>);

/// Where the bytes go.
enum Way {
    Local(Box<ChunkWriter>),
    Remote(Box<RemoteUpload>),
}

impl Lane {
    pub(crate) fn new(shard: &Arc<Shard>) -> Lane {
        Lane(Steps::new(Way::Local(Box::new(shard.chunk_writer()))))
    }

    /// Sends the bytes to another node.
    pub(crate) fn remote(upload: RemoteUpload) -> Lane {
        Lane(Steps::new(Way::Remote(Box::new(upload))))
    }

    /// Gives it bytes, once it has worked off those that it was given before.
    pub(crate) async fn give(&mut self, gathered: Vec<Bytes>) -> Result<(), Error> {
        self.ready().await?;
        self.0.begin(|way| way.begin(gathered));
        Ok(())
    }

    async fn ready(&mut self) -> Result<(), Error> {
        self.0.result().await?.unwrap_or(Ok(()))
    }

    /// Ends the upload with the last bytes: their names, and what keeps them.
    pub(crate) async fn finish(
        mut self,
        gathered: Vec<Bytes>,
    ) -> Result<(Vec<Chunk>, Hold), Error> {
        self.ready().await?;
        match self.0.into_state().await? {
            Way::Local(mut writer) => {
                blocking(move || {
                    gathered.iter().try_for_each(|bytes| writer.write(bytes))?;
                    Ok(writer.finish()?)
                })
                .await
            }
            Way::Remote(upload) => upload.finish(gathered).await,
        }
    }
}

impl Way {
    fn begin(self, gathered: Vec<Bytes>) -> JoinHandle<(Way, Result<(), Error>)> {
        match self {
            Way::Local(mut writer) => off(move || {
                let written = gathered.iter().try_for_each(|bytes| writer.write(bytes));
                (Way::Local(writer), written.map_err(Error::from))
            }),
            Way::Remote(mut upload) => tokio::spawn(async move {
                let sent = upload.send(gathered).await;
                (Way::Remote(upload), sent)
            }),
        }
    }
}
