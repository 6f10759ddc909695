//! Values of `by_id`: what is known of a document without its id. A head with sums comes first, so
//! that reductions and plain reads need not decode the history; then the revisions, newest first, so
//! that the winner of an ordinary document is the first one. Never reads bodies.

use settee_model::docid::DocId;
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::rev::{Rev, RevId};
use settee_model::revtree::{Node, RevTree};
use settee_model::varint;

use super::Malformed;
use super::reader::Reader;
use super::reduce::DocSizes;

const VERSION: u8 = 1;
const DELETED: u8 = 1;

const NODE_VALUE: u8 = 1;
const NODE_DELETED: u8 = 2;
const NODE_ROOT: u8 = 4;
const NODE_MD5: u8 = 8;
const NODE_POS: u8 = 16;
const NODE_BODY: u8 = 32;

/// What a plain read needs to know of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocHead {
    /// Sequence of the document's last change.
    pub seq: u64,
    /// Whether every branch ends in a tombstone.
    pub deleted: bool,
    /// The winning revision.
    pub winner: Rev,
    /// Number of the winner's body; `None` if it is gone.
    pub body: Option<u64>,
}

/// The part of the head that reductions need.
pub(crate) struct Sums {
    pub(crate) deleted: bool,
    pub(crate) sizes: DocSizes,
}

/// Encodes a document that has at least one revision.
pub(crate) fn encode(info: &DocInfo) -> Vec<u8> {
    let nodes = info.tree.nodes();
    let mut out = Vec::with_capacity(32 + nodes.len() * 32);
    let deleted = info.tree.is_deleted();
    out.push(VERSION);
    out.push(if deleted { DELETED } else { 0 });
    varint::put(&mut out, info.seq);
    let sizes = DocSizes::of(&info.tree);
    varint::put(&mut out, sizes.stored);
    varint::put(&mut out, sizes.atts);
    varint::put(&mut out, sizes.external);
    varint::put(&mut out, winner_index(&info.tree) as u64);
    varint::put(&mut out, nodes.len() as u64);
    let mut expected = 0;
    for node in nodes.iter().rev() {
        put_node(&mut out, node, expected);
        expected = node.pos.wrapping_sub(1);
    }
    out
}

/// The winner's place in the list as it is written.
fn winner_index(tree: &RevTree<RevInfo>) -> usize {
    if tree.leaf_count() == 1 {
        return 0;
    }
    let value = tree.winner().map(|leaf| std::ptr::from_ref(leaf.value));
    let is_winner = |node: &Node<RevInfo>| node.value.as_ref().map(std::ptr::from_ref) == value;
    tree.nodes().iter().rev().position(is_winner).unwrap_or(0)
}

fn put_node(out: &mut Vec<u8>, node: &Node<RevInfo>, expected: u64) {
    let id = node.id.as_bytes();
    let mut flags = 0;
    let mut flag = |bit: u8, on: bool| flags |= if on { bit } else { 0 };
    flag(NODE_VALUE, node.value.is_some());
    flag(NODE_DELETED, node.value.as_ref().is_some_and(|value| value.deleted));
    flag(NODE_BODY, node.value.as_ref().is_some_and(|value| value.body.is_some()));
    flag(NODE_ROOT, node.root);
    flag(NODE_MD5, id.len() == 16);
    flag(NODE_POS, node.pos != expected);
    out.push(flags);
    if node.pos != expected {
        varint::put(out, node.pos);
    }
    if id.len() == 16 {
        out.extend_from_slice(id);
    } else {
        varint::put_bytes(out, id);
    }
    if let Some(value) = &node.value {
        varint::put(out, value.seq);
        if let Some(body) = value.body {
            varint::put(out, body);
        }
        varint::put(out, value.stored);
        varint::put(out, value.atts);
        varint::put(out, value.external);
    }
}

struct Head {
    deleted: bool,
    seq: u64,
    sizes: DocSizes,
    winner: usize,
    nodes: usize,
}

fn read_head(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    if reader.byte()? != VERSION {
        return Err(Malformed("unknown version of a document's info"));
    }
    let deleted = reader.byte()? & DELETED != 0;
    let seq = reader.varint()?;
    let (stored, atts, external) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let winner = reader.count()?;
    let nodes = reader.count()?;
    let sizes = DocSizes { stored, atts, external };
    Ok(Head { deleted, seq, sizes, winner, nodes })
}

fn read_node(reader: &mut Reader<'_>, expected: u64) -> Result<Node<RevInfo>, Malformed> {
    let flags = reader.byte()?;
    let on = |bit: u8| flags & bit != 0;
    let pos = if on(NODE_POS) { reader.varint()? } else { expected };
    let id = RevId::from_bytes(if on(NODE_MD5) { reader.take(16)? } else { reader.bytes()? });
    let value = if on(NODE_VALUE) {
        let seq = reader.varint()?;
        let body = if on(NODE_BODY) { Some(reader.varint()?) } else { None };
        let (stored, atts, external) = (reader.varint()?, reader.varint()?, reader.varint()?);
        Some(RevInfo { deleted: on(NODE_DELETED), seq, body, stored, atts, external })
    } else {
        None
    };
    Ok(Node { pos, id, root: on(NODE_ROOT), value })
}

/// Reads everything.
pub(crate) fn decode(id: DocId, bytes: &[u8]) -> Result<DocInfo, Malformed> {
    let mut reader = Reader::new(bytes);
    let head = read_head(&mut reader)?;
    let mut nodes = Vec::with_capacity(head.nodes);
    let mut expected = 0;
    for _ in 0..head.nodes {
        let node = read_node(&mut reader, expected)?;
        expected = node.pos.wrapping_sub(1);
        nodes.push(node);
    }
    reader.end()?;
    nodes.reverse();
    let tree = RevTree::from_nodes(nodes).map_err(|_| Malformed("not a revision tree"))?;
    Ok(DocInfo { id, seq: head.seq, tree })
}

/// Reads what a plain read needs.
pub(crate) fn decode_head(bytes: &[u8]) -> Result<DocHead, Malformed> {
    let mut reader = Reader::new(bytes);
    let head = read_head(&mut reader)?;
    let mut expected = 0;
    for _ in 0..head.winner {
        expected = read_node(&mut reader, expected)?.pos.wrapping_sub(1);
    }
    let node = read_node(&mut reader, expected)?;
    let body = node.value.as_ref().and_then(|value| value.body);
    Ok(DocHead { seq: head.seq, deleted: head.deleted, winner: node.rev(), body })
}

/// Reads what reductions need.
pub(crate) fn decode_sums(bytes: &[u8]) -> Result<Sums, Malformed> {
    let head = read_head(&mut Reader::new(bytes))?;
    Ok(Sums { deleted: head.deleted, sizes: head.sizes })
}
