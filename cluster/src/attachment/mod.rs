//! Bytes of attachments on their way in and out. Memory stays bounded whatever their length, and
//! work that blocks stays off the async threads.

mod gzip;
mod lane;
mod stream;
mod upload;

pub(crate) use lane::Lane;
pub use stream::AttStream;
pub(crate) use upload::is_held;
pub use upload::{Finished, Upload, UploadOptions};
