//! Bytes of attachments on their way in and out. Memory stays bounded whatever their length, and
//! work that blocks stays off the async threads. Never opens a document.

mod digest;
mod gather;
mod gzip;
mod lane;
mod lanes;
mod luggage;
mod stream;
mod upload;

pub(crate) use gather::Gathering;
pub(crate) use lane::Lane;
pub(crate) use lanes::is_held;
pub use stream::AttStream;
pub use upload::{EditUploads, Finished, Upload, UploadOptions, Uploads};
