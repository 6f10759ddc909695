//! Configuration files: which ones there are, how they are read, and how the last is changed so
//! that a crash leaves the old text or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use settee_http::ConfigFiles;
use settee_model::config::{self, Config, table};

/// The chain of files; later ones win.
#[derive(Debug)]
pub struct Chain {
    files: Vec<PathBuf>,
    /// What the command line and the environment say; they win over all files.
    given: Vec<(&'static str, &'static str, String)>,
}

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
        Ok(Chain { files, given: Vec::new() })
    }

    /// Lets a value hold whatever the files say, as long as the program runs.
    pub fn overrule(&mut self, section: &'static str, key: &'static str, value: String) {
        self.given.push((section, key, value));
    }

    /// The file that changes go to.
    pub fn last(&self) -> &Path {
        self.files.last().map_or(Path::new("local.ini"), PathBuf::as_path)
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
    match fs::read(path) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Replaces a file whole. It may hold secrets, so only its owner may read a new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
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
    fs::rename(&draft, path)?;
    fs::File::open(dir)?.sync_all()
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
        let path = self.last();
        let old = read(path)?;
        let new = config::edit(&old, section, key, value);
        if new == old {
            return Ok(());
        }
        replace(path, &new).map_err(|error| format!("cannot write {}: {error}", path.display()))
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
}
