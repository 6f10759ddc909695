//! The folder that the web interface is in. Links in it are not followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use settee_http::SiteFiles;

/// More files than any interface has; somebody named the wrong folder.
const MOST: usize = 10_000;

/// A folder of files, as it was when the program started.
pub struct Folder {
    path: PathBuf,
    names: Vec<String>,
}

impl Folder {
    /// Looks what is in a folder.
    ///
    /// # Errors
    /// If it cannot be read, or holds too many files.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut names = Vec::new();
        let mut folders = vec![(path.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push((entry.path(), format!("{prefix}{name}/")));
                } else if kind.is_file() {
                    names.push(format!("{prefix}{name}"));
                }
            }
            if names.len() + folders.len() > MOST {
                return Err(io::Error::other("too many files for a web interface"));
            }
        }
        Ok(Folder { path: path.to_owned(), names })
    }

    /// The version of Fauxton in it, if its package says so: it lies two folders above.
    pub fn version(&self) -> Option<String> {
        let package = self.path.ancestors().nth(2)?.join("package.json");
        let package = settee_model::json::value(&fs::read(package).ok()?).ok()?;
        let is_fauxton = package.get("name")?.as_str()? == "fauxton";
        is_fauxton.then(|| package.get("version")?.as_str().map(str::to_owned)).flatten()
    }
}

impl SiteFiles for Folder {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_shows_its_files_and_no_links() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("dist/release");
        fs::create_dir_all(folder.join("js")).unwrap();
        fs::write(folder.join("index.html"), "x").unwrap();
        fs::write(folder.join("js/app.js"), "y").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        let opened = Folder::open(&folder).unwrap();
        let mut names = opened.names();
        names.sort();
        assert_eq!(names, ["index.html", "js/app.js"]);
        assert_eq!(opened.read("js/app.js").unwrap(), b"y");
        assert_eq!(opened.version(), None);
        fs::write(root.path().join("package.json"), r#"{"name":"fauxton","version":"9.8"}"#)
            .unwrap();
        assert_eq!(opened.version().as_deref(), Some("9.8"));
        assert!(Folder::open(&root.path().join("none")).is_err());
    }
}
