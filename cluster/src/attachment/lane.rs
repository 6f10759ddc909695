//! Attachments of a request's edits on their way into one copy, one after the other. What a lane is
//! given is worked on while the next bytes come. Knows one copy only: all of them together are
//! `lanes`' business.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::Shard;
use settee_engine::shard::ChunkWriter;
use settee_model::doc::{Chunk, Hold};
use tokio::task::JoinHandle;

use crate::Error;
use crate::mesh::RemoteUpload;
use crate::steps::{Steps, off};

/// The way to one copy. Dropping it gives up what is not finished; what was written of that is garbage
/// for the compactor.
pub(crate) struct Lane(Steps<Way, Step>);

/// What came of a step: the names of an attachment's bytes and what keeps them, if it was its last.
type Step = Result<Option<(Vec<Chunk>, Hold)>, Error>;

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
        self.done().await?;
        self.0.begin(|way| way.begin(gathered, false));
        Ok(())
    }

    /// Ends an attachment with its last bytes: their names, and what keeps them. Then the next one may
    /// begin.
    pub(crate) async fn finish(
        &mut self,
        gathered: Vec<Bytes>,
    ) -> Result<(Vec<Chunk>, Hold), Error> {
        self.done().await?;
        self.0.begin(|way| way.begin(gathered, true));
        self.done().await?.ok_or(Error::Closing)
    }

    async fn done(&mut self) -> Step {
        self.0.result().await?.unwrap_or(Ok(None))
    }
}

impl Way {
    fn begin(self, gathered: Vec<Bytes>, last: bool) -> JoinHandle<(Way, Step)> {
        match self {
            Way::Local(mut writer) => off(move || {
                let step = write(&mut writer, &gathered, last);
                (Way::Local(writer), step)
            }),
            Way::Remote(mut upload) => tokio::spawn(async move {
                let step = send(&mut upload, gathered, last).await;
                (Way::Remote(upload), step)
            }),
        }
    }
}

fn write(writer: &mut ChunkWriter, gathered: &[Bytes], last: bool) -> Step {
    gathered.iter().try_for_each(|bytes| writer.write(bytes))?;
    if last { Ok(Some(writer.finish()?)) } else { Ok(None) }
}

async fn send(upload: &mut RemoteUpload, gathered: Vec<Bytes>, last: bool) -> Step {
    upload.send(gathered).await?;
    if last { upload.finish().await.map(Some) } else { Ok(None) }
}
