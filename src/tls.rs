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

/// What connections are accepted with, if they are secured at all.
pub fn start(config: &Config) -> Result<Option<watch::Sender<Secured>>, String> {
    let Some(settings) = TlsSettings::from_config(config)? else { return Ok(None) };
    Ok(Some(watch::Sender::new(load(&settings)?)))
}

/// Takes over what changes, until nobody accepts connections any more. What is of no use is told,
/// and what was before goes on.
pub async fn follow(secured: watch::Sender<Secured>, mut config: watch::Receiver<Arc<Config>>) {
    let mut before = None;
    while !secured.is_closed() {
        let settings = TlsSettings::from_config(&config.borrow_and_update());
        let looked = tokio::task::spawn_blocking(move || look(settings, before)).await;
        let Ok((seen, news)) = looked else { return };
        before = Some(seen);
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
type Seen = (Result<Option<TlsSettings>, String>, Vec<Option<SystemTime>>);

/// What is there now, if it is other than what was seen before.
fn look(
    settings: Result<Option<TlsSettings>, String>,
    before: Option<Seen>,
) -> (Seen, Option<Result<Secured, String>>) {
    let files = match &settings {
        Ok(Some(settings)) => files(settings),
        _ => Vec::new(),
    };
    let times = files.iter().map(|file| changed(file)).collect();
    let seen = (settings, times);
    let news = match &seen.0 {
        // What was there at the start was read then.
        _ if before.as_ref().is_none_or(|before| *before == seen) => None,
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
