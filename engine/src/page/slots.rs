//! The slotted payload of leaves and inner nodes (docs/format.md section 3): sorted keys with their
//! values, searched where they lie. Checked once when it comes from disk; never decoded, never
//! changed after it was built.

use std::cmp::Ordering;

use bytes::Bytes;

/// Bytes before the entries.
const HEADER: usize = 8;
/// Bytes of one entry in the table at the end.
const SLOT: usize = 4;

/// An immutable page of entries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Page {
    bytes: Bytes,
    len: u32,
}

impl Page {
    /// Takes a payload after checking every field of it; else says what is wrong.
    pub fn parse(bytes: Bytes) -> Result<Page, &'static str> {
        let len = match bytes.get(4..HEADER).and_then(|field| field.try_into().ok()) {
            Some(field) => u32::from_le_bytes(field),
            None => return Err("page is shorter than its header"),
        };
        if bytes.get(1..4) != Some(&[0; 3]) || len == 0 {
            return Err("page header is absurd");
        }
        if bytes.len() < HEADER + SLOT * len as usize {
            return Err("page is shorter than its table");
        }
        let page = Page { bytes, len };
        let mut end = HEADER;
        let mut last: Option<&[u8]> = None;
        for i in 0..page.len() {
            if page.start(i) != end {
                return Err("page table has gaps");
            }
            end = page.start(i + 1);
            let Some((key, _)) = page.bytes.get(page.start(i)..end).and_then(split) else {
                return Err("page entry is cut short");
            };
            if last.is_some_and(|last| last >= key) {
                return Err("page keys are out of order");
            }
            last = Some(key);
        }
        Ok(page)
    }

    /// The whole payload.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no entries; never true of a page from disk.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that entries `from..to` take, their slots included.
    pub fn size_of(&self, from: usize, to: usize) -> usize {
        self.start(to) - self.start(from) + SLOT * (to - from)
    }

    /// Where an entry starts; for the one after the last, where the table starts.
    fn start(&self, i: usize) -> usize {
        let table = self.bytes.len() - SLOT * self.len();
        if i >= self.len() {
            return table;
        }
        let at = table + SLOT * i;
        match self.bytes.get(at..at + SLOT).and_then(|slot| slot.try_into().ok()) {
            Some(slot) => u32::from_le_bytes(slot) as usize,
            None => table,
        }
    }

    fn raw(&self, i: usize) -> &[u8] {
        self.bytes.get(self.start(i)..self.start(i + 1)).unwrap_or_default()
    }

    /// Key and value of an entry; both empty beyond the end.
    pub fn entry(&self, i: usize) -> (&[u8], &[u8]) {
        split(self.raw(i)).unwrap_or_default()
    }

    /// The key of an entry.
    pub fn key(&self, i: usize) -> &[u8] {
        // Searches ask for little else, and most keys are short: no need to know where they end.
        let start = self.start(i);
        match self.bytes.get(start) {
            Some(&len) if len < 0x80 && i < self.len() => {
                self.bytes.get(start + 1..start + 1 + len as usize).unwrap_or_default()
            }
            _ => self.entry(i).0,
        }
    }

    /// The value of an entry.
    pub fn value(&self, i: usize) -> &[u8] {
        self.entry(i).1
    }

    /// A part of this page, sharing its memory. `part` must have come from this page.
    pub fn share(&self, part: &[u8]) -> Bytes {
        // An empty part may lie anywhere, and keeping the page for it would be a waste.
        if part.is_empty() { Bytes::new() } else { self.bytes.slice_ref(part) }
    }

    /// The place of `key` among entries `from..`: `Ok` where it is, `Err` where it would be.
    pub fn search_from(&self, from: usize, key: &[u8]) -> Result<usize, usize> {
        self.search_in(from, self.len(), key)
    }

    fn search_in(&self, mut low: usize, mut high: usize, key: &[u8]) -> Result<usize, usize> {
        while low < high {
            let mid = low + (high - low) / 2;
            match self.key(mid).cmp(key) {
                Ordering::Less => low = mid + 1,
                Ordering::Greater => high = mid,
                Ordering::Equal => return Ok(mid),
            }
        }
        Err(low)
    }

    /// The same, quickly if it is soon after `from`, and never where it is before.
    pub fn search_near(&self, from: usize, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut step) = (from, 1);
        while low + step <= self.len() && self.key(low + step - 1) < key {
            low += step;
            step *= 2;
        }
        self.search_in(low, self.len().min(low + step), key)
    }

    /// The place of `key` among all entries.
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.search_from(0, key)
    }
}

/// Takes an entry apart; `None` if the key does not fit in it.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = entry.split_first()?;
    if first < 0x80 {
        return rest.split_at_checked(first as usize);
    }
    let (mut len, mut rest, mut shift) = (u64::from(first & 0x7f), rest, 7);
    loop {
        let (&byte, tail) = rest.split_first()?;
        len |= u64::from(byte & 0x7f) << shift;
        (rest, shift) = (tail, shift + 7);
        if byte < 0x80 {
            return rest.split_at_checked(usize::try_from(len).ok()?);
        }
        if shift > 28 {
            return None;
        }
    }
}

/// Bytes of a key's length field.
fn length_size(key: usize) -> usize {
    (1 + (usize::BITS - key.leading_zeros()).saturating_sub(1) / 7) as usize
}

/// Bytes that an entry takes in a page, its slot included.
pub fn entry_size(key: &[u8], value: &[u8]) -> usize {
    SLOT + length_size(key.len()) + key.len() + value.len()
}

/// Builds a page in one pass.
pub struct PageBuilder {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl PageBuilder {
    /// A page of this level with room for `size` bytes of `entries` entries (slots included).
    pub fn new(level: u8, entries: usize, size: usize) -> PageBuilder {
        let mut bytes = Vec::with_capacity(HEADER + size);
        bytes.extend_from_slice(&[level, 0, 0, 0, 0, 0, 0, 0]);
        PageBuilder { bytes, starts: Vec::with_capacity(entries) }
    }

    /// Number of entries so far.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes of the page so far.
    pub fn size(&self) -> usize {
        self.bytes.len() + SLOT * self.starts.len()
    }

    /// Appends an entry; its key must be above all before.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.starts.push(self.bytes.len() as u32);
        let mut len = key.len();
        while len >= 0x80 {
            self.bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        self.bytes.push(len as u8);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Appends entries `from..to` of another page as they are.
    pub fn push_run(&mut self, page: &Page, from: usize, to: usize) {
        let (first, here) = (page.start(from), self.bytes.len());
        self.starts.extend((from..to).map(|i| (page.start(i) - first + here) as u32));
        let run = page.bytes.get(first..page.start(to)).unwrap_or_default();
        self.bytes.extend_from_slice(run);
    }

    /// The finished page.
    pub fn finish(mut self) -> Page {
        let len = self.starts.len() as u32;
        if let Some(field) = self.bytes.get_mut(4..HEADER) {
            field.copy_from_slice(&len.to_le_bytes());
        }
        for start in &self.starts {
            self.bytes.extend_from_slice(&start.to_le_bytes());
        }
        Page { bytes: self.bytes.into(), len }
    }
}
