//! [`Site`]: the web interface at `/_utils`. Its files are known by name from the start; what a request
//! names is looked up among these, so that no path leads anywhere else. They are read when they are
//! first asked for, and kept packed, and as they are for who cannot unpack them. Never opens a file itself.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::off::off_thread;
use crate::render::etag;

/// Where the files are. Calls may block.
pub trait SiteFiles: Send + Sync {
    /// Their names; `/` stands between those of folders and files.
    fn names(&self) -> Vec<String>;

    /// The content of one of them.
    ///
    /// # Errors
    /// If it cannot be read, or is not there any more.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
}

/// What is shown where a folder is asked for.
const INDEX: &str = "index.html";

/// See the module.
#[derive(Default)]
pub struct Site {
    files: Option<Arc<dyn SiteFiles>>,
    pages: HashMap<String, OnceCell<Page>>,
}

/// A file of the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub media: &'static str,
    /// Its tag, with quotation marks.
    pub tag: String,
    /// Whether other content would have another name.
    pub is_eternal: bool,
    packed: Bytes,
    /// The same unpacked, once somebody wanted that.
    plain: OnceCell<Bytes>,
}

impl Site {
    /// A site of all these files.
    #[must_use]
    pub fn new(files: Arc<dyn SiteFiles>) -> Site {
        let pages = files.names().into_iter().map(|name| (name, OnceCell::new())).collect();
        Site { files: Some(files), pages }
    }

    /// Whether there is any file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// A file by its path, or the index of a folder.
    ///
    /// # Errors
    /// 404, or 500 if it cannot be read.
    pub async fn page(&self, path: &str) -> Result<&Page, Error> {
        let index = format!("{path}{INDEX}");
        let is_folder = path.is_empty() || path.ends_with('/');
        let name = if is_folder { index.as_str() } else { path };
        let found = self.pages.get_key_value(name).zip(self.files.as_ref());
        let ((name, page), files) = found.ok_or_else(Error::missing)?;
        page.get_or_try_init(|| read(files.clone(), name.clone())).await
    }
}

async fn read(files: Arc<dyn SiteFiles>, name: String) -> Result<Page, Error> {
    let work = move || files.read(&name).and_then(|content| Page::new(&name, &content));
    off_thread(work).await?.map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Error {
    tracing::error!(%error, "a file of the web interface cannot be read");
    Error::Internal("error", "the web interface cannot be read".into())
}

impl Page {
    fn new(name: &str, content: &[u8]) -> io::Result<Page> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(content)?;
        Ok(Page {
            media: media(name),
            tag: etag::of_state(&[content]),
            is_eternal: is_eternal(name),
            packed: packed.finish()?.into(),
            plain: OnceCell::new(),
        })
    }

    /// The content, packed by gzip.
    #[must_use]
    pub fn packed(&self) -> Bytes {
        self.packed.clone()
    }

    /// The content as it is. It is unpacked once, whoever wants it.
    ///
    /// # Errors
    /// The server is shutting down.
    pub async fn plain(&self) -> Result<Bytes, Error> {
        let unpacked = async {
            let packed = self.packed();
            off_thread(move || unpack(&packed)).await?.map_err(|error| unreadable(&error))
        };
        self.plain.get_or_try_init(|| unpacked).await.cloned()
    }
}

fn unpack(packed: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain)?;
    Ok(plain.into())
}

/// The media type that a name's end stands for.
fn media(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html",
        "js" => "application/javascript",
        "css" => "text/css",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "eot" => "application/vnd.ms-fontobject",
        "txt" | "md" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Whether a name holds a hash of what is in it, as builders of web pages write it: `app.4f…9.js`.
fn is_eternal(name: &str) -> bool {
    let mut parts = name.split('.').skip(1);
    parts.any(|part| part.len() >= 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files;

    impl SiteFiles for Files {
        fn names(&self) -> Vec<String> {
            ["index.html", "js/app.0123456789abcdef.js", "gone.css"].map(str::to_owned).into()
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            match name {
                "gone.css" => Err(io::ErrorKind::NotFound.into()),
                name => Ok(name.repeat(100).into()),
            }
        }
    }

    #[tokio::test]
    async fn files_are_found_by_name_and_nothing_else_is() {
        let site = Site::new(Arc::new(Files));
        let index = site.page("").await.unwrap();
        assert_eq!((index.media, index.is_eternal), ("text/html", false));
        assert_eq!(index.plain().await.unwrap(), "index.html".repeat(100).as_bytes());
        assert!(index.packed().len() < 100);
        let app = site.page("js/app.0123456789abcdef.js").await.unwrap();
        assert_eq!((app.media, app.is_eternal), ("application/javascript", true));
        assert_ne!(app.tag, index.tag);
        for path in ["js", "js/", "/", "../index.html", "js/../index.html", "index.html/", "a\0"] {
            assert_eq!(site.page(path).await, Err(Error::missing()), "{path:?}");
        }
        assert!(matches!(site.page("gone.css").await, Err(Error::Internal(..))));
        assert_eq!(Site::default().page("").await, Err(Error::missing()));
    }

    #[tokio::test]
    async fn all_who_cannot_unpack_a_file_share_its_bytes() {
        let site = Site::new(Arc::new(Files));
        let page = site.page("").await.unwrap();
        let (one, other) = (page.plain().await.unwrap(), page.plain().await.unwrap());
        assert_eq!(one.as_ptr(), other.as_ptr());
        assert_eq!(site.page("").await.unwrap().plain().await.unwrap().as_ptr(), one.as_ptr());
    }
}
