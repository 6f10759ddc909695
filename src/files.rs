//! Configuration files: which ones there are, how they are read, and how the last is changed so
//! that a crash leaves the old text or the new one, as far as the file can be replaced. Never changes
//! what it cannot read.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use settee_http::ConfigFiles;
use settee_model::config::{self, Config, table};

/// The chain of files; later ones win.
#[derive(Debug)]
pub struct Chain {
    files: Vec<PathBuf>,
    /// What the command line and the environment say; they win over all files.
    given: Vec<(&'static str, &'static str, String)>,
    /// Held by who changes the last file.
    turn: Mutex<()>,
}

/// Links that are followed to a file that is not there yet.
const LINKS: usize = 40;

impl Chain {
    /// The files that were named, directories replaced by the `*.ini` files in them; without any,
    /// those of the data directory.
    pub fn find(named: &[PathBuf], data: &Path) -> io::Result<Self> {
        let own = [data.join("local.ini"), data.join("local.d")];
        let named = if named.is_empty() { &own } else { named };
        let mut files = Vec::new();
        for path in named {
            if path.is_dir() {
                files.extend(ini_files(path)?);
            } else if path.exists() || own.contains(path) {
                files.push(path.clone());
            } else {
                let reason = format!("Couldn't find server configuration file {}", path.display());
                return Err(io::Error::other(reason));
            }
        }
        // A directory of files that is not there yet is not where changes go.
        files.retain(|file| *file != data.join("local.d"));
        if files.is_empty() {
            files.push(data.join("local.ini"));
        }
        Ok(Chain { files, given: Vec::new(), turn: Mutex::default() })
    }

    /// Lets a value hold whatever the files say, as long as the program runs.
    pub fn overrule(&mut self, section: &'static str, key: &'static str, value: String) {
        self.given.push((section, key, value));
    }

    /// The file that changes go to.
    pub fn last(&self) -> &Path {
        self.files.last().map_or(Path::new("local.ini"), PathBuf::as_path)
    }

    /// What that file says by itself.
    pub fn said_last(&self) -> Result<Config, String> {
        let mut config = Config::default();
        config.merge_ini(&read(self.last())?);
        Ok(config)
    }
}

fn ini_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ini") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&bytes(path)?).into_owned())
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    match fs::read(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// The file that a path leads to, over links; it need not be there.
fn destination(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Replaces a file whole. It may hold secrets, so only its owner may read a new one.
fn replace(
    path: &Path,
    text: &str,
    rename: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let path = &destination(path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = dir.join(format!(".{name}.new"));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()?;
    fs::File::open(dir)?.sync_all()?;
    match rename(&draft, path) {
        Err(error) if is_mounted(&error) => {
            overwrite(path, text)?;
            fs::remove_file(&draft)?;
        }
        renamed => renamed?,
    }
    fs::File::open(dir)?.sync_all()
}

/// Whether a file cannot be replaced because something is mounted there.
fn is_mounted(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices)
}

/// Writes over what is there. After a crash the draft still has the whole text.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl ConfigFiles for Chain {
    fn load(&self) -> Result<Config, String> {
        let mut config = Config::default();
        config.merge_ini(table::DEFAULTS);
        for file in &self.files {
            config.merge_ini(&read(file)?);
        }
        for (section, key, value) in &self.given {
            config.set(section, key, value);
        }
        Ok(config)
    }

    fn save(&self, section: &str, key: &str, value: Option<&str>) -> Result<(), String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.last();
        let unfit = |reason: &dyn Display| format!("cannot write {}: {reason}", path.display());
        let old = String::from_utf8(bytes(path)?).map_err(|_| unfit(&"it is not UTF-8"))?;
        let new = config::edit(&old, section, key, value);
        if new == old {
            return Ok(());
        }
        replace(path, &new, |from, to| fs::rename(from, to)).map_err(|error| unfit(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_win_and_the_last_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (one, more) = (dir.path().join("one.ini"), dir.path().join("more"));
        fs::create_dir(&more).unwrap();
        fs::write(&one, "[test]\na = 1\nb = 1\n").unwrap();
        fs::write(more.join("2.ini"), "; mine\n[test]\nb = 2\n").unwrap();
        fs::write(more.join("1.ini"), "[test]\nb = 3\n").unwrap();
        fs::write(more.join("note.txt"), "[test]\nb = 4\n").unwrap();
        let chain = Chain::find(&[one.clone(), more.clone()], dir.path()).unwrap();
        let config = chain.load().unwrap();
        assert_eq!((config.raw("test", "a"), config.raw("test", "b")), (Some("1"), Some("2")));
        chain.save("test", "a", Some("9")).unwrap();
        assert_eq!(chain.load().unwrap().raw("test", "a"), Some("9"));
        chain.save("test", "a", None).unwrap();
        assert_eq!(chain.load().unwrap().raw("test", "a"), Some("1"));
        assert_eq!(fs::read_to_string(more.join("2.ini")).unwrap(), "; mine\n[test]\nb = 2\n");
        let mut chain = chain;
        chain.overrule("test", "b", "8".to_owned());
        assert_eq!(chain.load().unwrap().raw("test", "b"), Some("8"));
        assert!(Chain::find(&[dir.path().join("none.ini")], dir.path()).is_err());
    }

    #[test]
    fn without_files_the_data_directory_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::find(&[], dir.path()).unwrap();
        assert_eq!(chain.last(), dir.path().join("local.ini"));
        chain.save("log", "level", Some("debug")).unwrap();
        assert_eq!(chain.load().unwrap().get("log", "level"), Some("debug"));
    }

    #[test]
    fn links_lead_to_the_file_that_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real/own.ini"), dir.path().join("local.ini"));
        std::os::unix::fs::symlink("real/own.ini", &link).unwrap();
        let chain = Chain::find(&[], dir.path()).unwrap();
        // Also to one that is not there yet.
        for value in ["1", "2"] {
            chain.save("a", "b", Some(value)).unwrap();
            assert_eq!(fs::read_to_string(&real).unwrap(), format!("[a]\nb = {value}\n"));
            assert!(link.is_symlink(), "{value}");
        }
    }

    #[test]
    fn a_mounted_file_is_written_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.ini");
        fs::write(&path, "what was there, and is longer").unwrap();
        for kind in [io::ErrorKind::ResourceBusy, io::ErrorKind::CrossesDevices] {
            replace(&path, "short", |_, _| Err(kind.into())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "short");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a draft is left");
        }
        let failed = replace(&path, "no", |_, _| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
    }

    #[test]
    fn what_is_not_utf_8_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.ini");
        let text = b"[a]\n; ge\xe4ndert\nb = 1\n";
        fs::write(&path, text).unwrap();
        let chain = Chain::find(&[], dir.path()).unwrap();
        assert_eq!(chain.load().unwrap().raw("a", "b"), Some("1"));
        let refused = chain.save("a", "b", Some("2")).unwrap_err();
        assert!(refused.contains("UTF-8"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), text);
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let chain = &Chain::find(&[], dir.path()).unwrap();
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let save = move |key| chain.save("a", &format!("{thread}-{key}"), Some("1"));
                threads.spawn(move || (0..8).for_each(|key: u8| save(key).unwrap()));
            }
        });
        assert_eq!(chain.load().unwrap().section("a").count(), 64);
    }
}
