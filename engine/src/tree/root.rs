//! The root of a clean tree as a shard file's header keeps it (docs/format.md section 2). Pure.

use bytes::Bytes;

use super::node::Clean;
use crate::page::PagePtr;

/// What a shard file's header keeps of a clean tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The root page; `None` for an empty tree.
    pub page: Option<PagePtr>,
    /// Level of the root page, 0 for a leaf.
    pub level: u8,
    /// Number of entries.
    pub count: u64,
    /// Bytes of the frames of all pages of the tree.
    pub stored: u64,
    /// Reduction of the whole tree; empty for an empty tree.
    pub reduction: Bytes,
}

impl Root {
    /// The root of a tree without entries.
    pub fn empty() -> Root {
        Root { page: None, level: 0, count: 0, stored: 0, reduction: Bytes::new() }
    }

    pub(super) fn of(clean: Clean, level: u8) -> Root {
        let Clean { ptr, count, stored, reduction } = clean;
        Root { page: Some(ptr), level, count, stored, reduction }
    }

    /// Appends the stored form. A reduction of 64 KiB or more does not fit and is cut, which the
    /// reader notices as damage: headers have room for some hundred bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let page = self.page.unwrap_or(PagePtr { offset: 0, len: 0 });
        out.extend_from_slice(&page.offset.to_le_bytes());
        out.extend_from_slice(&page.len.to_le_bytes());
        out.push(self.level);
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&(self.reduction.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.reduction);
    }

    /// Reads one root off the front of `input`; `None` if it is cut short or absurd.
    pub fn decode(input: &mut &[u8]) -> Option<Root> {
        let (offset, rest) = input.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (&level, rest) = rest.split_first()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (stored, rest) = rest.split_first_chunk()?;
        let (reduction, rest) = rest.split_first_chunk()?;
        let (reduction, rest) = rest.split_at_checked(u16::from_le_bytes(*reduction).into())?;
        let ptr = PagePtr { offset: u64::from_le_bytes(*offset), len: u32::from_le_bytes(*len) };
        let root = Root {
            page: (ptr.offset != 0).then_some(ptr),
            level,
            count: u64::from_le_bytes(*count),
            stored: u64::from_le_bytes(*stored),
            reduction: Bytes::copy_from_slice(reduction),
        };
        *input = rest;
        ((root.count == 0) == root.page.is_none()).then_some(root)
    }
}
