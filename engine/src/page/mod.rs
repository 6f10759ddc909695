//! Pages of a shard file: pointers, frames with checksum and compression, the slotted layout, the
//! node-wide cache, the writer that appends. Never knows what keys and values mean.

mod cache;
mod extent;
mod frame;
pub(crate) mod header;
mod pages;
mod slots;
mod writer;

#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use extent::Extent;
pub use pages::Pages;
pub use slots::{Page, PageBuilder, entry_size};
pub use writer::{PageWriter, Synced};

/// Kind of a page that holds entries.
pub const LEAF: u8 = 1;
/// Kind of a page that holds children.
pub const INNER: u8 = 2;

/// Where a page's frame stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PagePtr {
    /// Byte offset of the frame.
    pub offset: u64,
    /// Length of the whole frame in bytes.
    pub len: u32,
}
