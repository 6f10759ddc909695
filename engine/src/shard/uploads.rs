//! Attachments on their way in, ahead of the edits that name them. Their bytes are cut into chunks that
//! are named by their content and go to the shard file as they come. A hold keeps them alive until the
//! edit is done, compaction included. Never touches the trees. (What an edit brings along comes with it.)

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use settee_model::doc::{Chunk, Hold};

use super::Shard;
use super::store::{CHUNK_KIND, Store};
use crate::Error;
use crate::page::{PagePtr, PageWriter};

/// Length of the chunks of an attachment's first part, and of all that follows.
const CHUNK: usize = 256 << 10;
const LARGE_CHUNK: usize = 1 << 20;
const LARGE_FROM: u64 = 16 << 20;

/// How a document names a chunk of those bytes.
///
/// # Errors
/// [`Error::TooLarge`] from 4 GiB on.
pub fn name_chunk(bytes: &[u8]) -> Result<Chunk, Error> {
    let length = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge { what: "chunk" })?;
    Ok(Chunk { hash: blake3::hash(bytes).into(), length })
}

/// Where the bytes of an uploaded chunk are.
#[derive(Clone)]
pub(super) enum Place {
    /// In an extent of that store, synced.
    Extent(Arc<Store>, PagePtr),
    /// In the shard's tree of chunks.
    Known,
}

/// A chunk that an upload holds.
pub(super) struct Held {
    place: Mutex<Place>,
    /// A shard is not closed while somebody uploads to it.
    _shard: Arc<Shard>,
}

/// The chunks that are held for uploads, by hash.
#[derive(Default)]
pub(super) struct Uploads {
    held: Mutex<HashMap<[u8; 32], Weak<Held>>>,
}

/// All held chunks, standing still.
pub(super) type HeldChunks<'a> = MutexGuard<'a, HashMap<[u8; 32], Weak<Held>>>;

impl Uploads {
    /// Where a held chunk is.
    pub(super) fn place(&self, hash: &[u8; 32]) -> Option<Place> {
        Some(self.held.lock().get(hash)?.upgrade()?.place.lock().clone())
    }

    /// Stops uploads from being registered or forgotten, for as long as the result lives. What nobody
    /// holds any more may be in it.
    pub(super) fn freeze(&self) -> HeldChunks<'_> {
        let mut held = self.held.lock();
        // Each look is paid for by as many that came in since the last one.
        if held.len() == held.capacity() {
            held.retain(|_, weak| weak.strong_count() > 0);
        }
        held
    }
}

impl Held {
    fn new(place: Place, shard: &Arc<Shard>) -> Arc<Held> {
        Arc::new(Held { place: Mutex::new(place), _shard: shard.clone() })
    }

    pub(super) fn place(&self) -> Place {
        self.place.lock().clone()
    }

    pub(super) fn move_to(&self, place: Place) {
        *self.place.lock() = place;
    }
}

/// Takes the bytes of attachments, one after the other. Dropping it gives up what was not finished; what
/// it wrote of that to the file is garbage.
pub struct ChunkWriter {
    shard: Arc<Shard>,
    buffer: Vec<u8>,
    stored: u64,
    chunks: Vec<Chunk>,
    /// Each different chunk once.
    places: HashMap<[u8; 32], Written>,
    /// The file that takes the chunks, and its unsynced part.
    file: Option<(Arc<Store>, PageWriter)>,
}

/// What was done with a chunk so far.
enum Written {
    Held(Arc<Held>),
    New(Place),
}

impl Shard {
    /// Begins to upload attachments.
    pub fn chunk_writer(self: &Arc<Self>) -> ChunkWriter {
        ChunkWriter {
            shard: self.clone(),
            buffer: Vec::new(),
            stored: 0,
            chunks: Vec::new(),
            places: HashMap::new(),
            file: None,
        }
    }

    /// Holds chunks that the shard has, so that an edit may name them without an upload. `None` if
    /// it lacks one of them.
    pub fn hold_chunks(self: &Arc<Self>, chunks: &[Chunk]) -> Result<Option<Hold>, Error> {
        let mut held = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match self.held_already(&chunk.hash)? {
                Some(kept) => held.push(kept),
                None => return Ok(None),
            }
        }
        Ok(Some(Hold::new(Arc::new(held))))
    }

    /// A chunk that an upload holds, or that the shard has: then it is held from now on, for
    /// compaction would drop it if no document named it any more.
    fn held_already(self: &Arc<Self>, hash: &[u8; 32]) -> Result<Option<Arc<Held>>, Error> {
        // So that the page is in memory when all uploads stand still.
        let known = self.snapshot().has_chunk(hash)?;
        let mut held = self.uploads.freeze();
        if let Some(other) = held.get(hash).and_then(Weak::upgrade) {
            return Ok(Some(other));
        }
        if !known || !self.snapshot().has_chunk(hash)? {
            return Ok(None);
        }
        let new = Held::new(Place::Known, self);
        held.insert(*hash, Arc::downgrade(&new));
        Ok(Some(new))
    }

    /// The store that takes extents now; makes the shard's file if there is none that does.
    fn store_with_file(self: &Arc<Self>) -> Result<Arc<Store>, Error> {
        let store = self.current_store();
        if store.has_file() && !store.has_failed() {
            return Ok(store);
        }
        self.checkpoint()?;
        Ok(self.current_store())
    }

    fn current_store(&self) -> Arc<Store> {
        self.durable_state().store.clone()
    }
}

impl ChunkWriter {
    /// Takes more bytes; waits for the disk now and then.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let size = if self.stored < LARGE_FROM { CHUNK } else { LARGE_CHUNK };
            let room = size - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == size {
                self.put_chunk()?;
            }
        }
        Ok(())
    }

    /// Ends an attachment: all of it is where a commit may name it, for as long as the hold lives. The
    /// next one may begin.
    pub fn finish(&mut self) -> Result<(Vec<Chunk>, Hold), Error> {
        if !self.buffer.is_empty() {
            self.put_chunk()?;
        }
        self.sync()?;
        let mut held = Vec::with_capacity(self.places.len());
        loop {
            let stale = self.register(&mut held);
            if stale.is_empty() {
                break;
            }
            for (hash, store, ptr) in stale {
                self.rewrite(hash, &store, ptr)?;
            }
            self.sync()?;
        }
        self.places.clear();
        self.stored = 0;
        let hold = if held.is_empty() { Hold::default() } else { Hold::new(Arc::new(held)) };
        Ok((std::mem::take(&mut self.chunks), hold))
    }

    fn put_chunk(&mut self) -> Result<(), Error> {
        self.shard.env.check_room()?;
        let bytes = std::mem::take(&mut self.buffer);
        let chunk = name_chunk(&bytes)?;
        let hash = chunk.hash;
        self.stored += u64::from(chunk.length);
        self.chunks.push(chunk);
        if !self.places.contains_key(&hash) {
            let written = self.place(hash, bytes)?;
            self.places.insert(hash, written);
        }
        Ok(())
    }

    fn place(&mut self, hash: [u8; 32], bytes: Vec<u8>) -> Result<Written, Error> {
        if let Some(held) = self.shard.held_already(&hash)? {
            return Ok(Written::Held(held));
        }
        let (store, ptr) = self.append(&bytes)?;
        Ok(Written::New(Place::Extent(store, ptr)))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(Arc<Store>, PagePtr), Error> {
        let (store, writer) = match &mut self.file {
            Some(file) => file,
            None => {
                let store = self.shard.store_with_file()?;
                let writer = PageWriter::new(&store.pages, store.tail.clone());
                self.file.insert((store, writer))
            }
        };
        let ptr = writer.put(CHUNK_KIND, bytes)?;
        Ok((store.clone(), ptr))
    }

    fn sync(&mut self) -> Result<(), Error> {
        match self.file.take() {
            Some((_, mut writer)) => {
                writer.write_out()?;
                writer.finish().map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Lets commits see the chunks, except for those whose file compaction has replaced meanwhile.
    fn register(&mut self, out: &mut Vec<Arc<Held>>) -> Vec<([u8; 32], Arc<Store>, PagePtr)> {
        let shard = self.shard.clone();
        let mut held = shard.uploads.freeze();
        let store = shard.current_store();
        let mut stale = Vec::new();
        out.clear();
        for (hash, written) in &mut self.places {
            if let Some(other) = held.get(hash).and_then(Weak::upgrade) {
                *written = Written::Held(other);
            }
            if let Written::New(place) = written {
                if let Place::Extent(old, ptr) = place
                    && !Arc::ptr_eq(old, &store)
                {
                    stale.push((*hash, old.clone(), *ptr));
                    continue;
                }
                let new = Held::new(place.clone(), &shard);
                held.insert(*hash, Arc::downgrade(&new));
                *written = Written::Held(new);
            }
            if let Written::Held(kept) = written {
                out.push(kept.clone());
            }
        }
        stale
    }

    /// Copies a chunk from a file that was replaced to the one that replaced it.
    fn rewrite(&mut self, hash: [u8; 32], old: &Arc<Store>, ptr: PagePtr) -> Result<(), Error> {
        let bytes = old.pages.read(ptr, CHUNK_KIND)?;
        let (store, ptr) = self.append(&bytes)?;
        self.places.insert(hash, Written::New(Place::Extent(store, ptr)));
        Ok(())
    }
}
