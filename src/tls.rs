//! Certificates of this server: read from their files, and read again when these or `[ssl]` change. What
//! is in them is judged elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use settee_http::Secured;
use settee_http::tls::{Pem, TlsSettings};
use settee_model::config::Config;
use tokio::sync::watch;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What connections are accepted with, if they are secured at all; and what it was made of.
pub fn start(config: &Config) -> Result<Option<(watch::Sender<Secured>, Seen)>, String> {
    let Some(settings) = TlsSettings::from_config(config)? else { return Ok(None) };
    // What changes while it is read is seen at the next look.
    let seen = Seen::now(Ok(Some(settings.clone())));
    Ok(Some((watch::Sender::new(load(&settings)?), seen)))
}

/// Takes over what changes, until nobody accepts connections any more. What is of no use is told,
/// and what was before goes on.
pub async fn follow(
    secured: watch::Sender<Secured>,
    mut seen: Seen,
    mut config: watch::Receiver<Arc<Config>>,
) {
    while !secured.is_closed() {
        let settings = TlsSettings::from_config(&config.borrow_and_update());
        let looked = tokio::task::spawn_blocking(move || look(settings, &seen)).await;
        let Ok((now, news)) = looked else { return };
        seen = now;
        match news {
            Some(Ok(news)) => drop(secured.send_replace(news)),
            Some(Err(why)) => tracing::error!(why, "the old certificate goes on being shown"),
            None => {}
        }
        tokio::select! {
            changed = config.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Settings, and when their files changed.
#[derive(PartialEq)]
pub struct Seen(Result<Option<TlsSettings>, String>, Vec<Option<SystemTime>>);

impl Seen {
    fn now(settings: Result<Option<TlsSettings>, String>) -> Seen {
        let files = match &settings {
            Ok(Some(settings)) => files(settings),
            _ => Vec::new(),
        };
        let times = files.iter().map(|file| changed(file)).collect();
        Seen(settings, times)
    }
}

/// What is there now, if it is other than what was seen before.
fn look(
    settings: Result<Option<TlsSettings>, String>,
    before: &Seen,
) -> (Seen, Option<Result<Secured, String>>) {
    let seen = Seen::now(settings);
    let news = match &seen.0 {
        _ if *before == seen => None,
        Ok(None) => None,
        Ok(Some(settings)) => Some(load(settings)),
        Err(why) => Some(Err(why.clone())),
    };
    (seen, news)
}

fn files(settings: &TlsSettings) -> Vec<PathBuf> {
    let TlsSettings { certificate, key, authorities, .. } = settings;
    [certificate, key].into_iter().chain(authorities).cloned().collect()
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|file| file.modified()).ok()
}

fn load(settings: &TlsSettings) -> Result<Secured, String> {
    let read = |file: &PathBuf| {
        std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
    };
    let pem = Pem {
        certificate: read(&settings.certificate)?,
        key: read(&settings.key)?,
        authorities: settings.authorities.as_ref().map(read).transpose()?,
    };
    settings.server(&pem)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn what_changed_since_the_start_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.set("ssl", "enable", "true");
        for name in ["cert_file", "key_file"] {
            fs::write(dir.path().join(name), "no certificate").unwrap();
            config.set("ssl", name, &dir.path().join(name).to_string_lossy());
        }
        let settings = || TlsSettings::from_config(&config);
        let seen = Seen::now(settings());
        let (seen, news) = look(settings(), &seen);
        assert!(news.is_none(), "nothing has changed");
        let renewed = File::options().write(true).open(dir.path().join("cert_file")).unwrap();
        renewed.set_modified(SystemTime::now() + LOOK).unwrap();
        let (seen, news) = look(settings(), &seen);
        assert!(news.is_some_and(|news| news.is_err()), "it was not read");
        assert!(look(settings(), &seen).1.is_none());
    }
}
