//! Bytes of attachments on their way in and out. Memory stays bounded whatever their length, and
//! work that blocks stays off the async threads.

mod gzip;
mod stream;
mod upload;

pub use stream::AttStream;
pub use upload::{Finished, Upload, UploadOptions};
