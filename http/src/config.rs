//! [`LiveConfig`]: the configuration while the server runs, and the seam to the files it is kept
//! in. Never opens a file itself.

use std::sync::Arc;

use settee_cluster::CommonSettings;
use settee_model::config::{self, Config};
use tokio::sync::{Mutex, watch};

use crate::auth::password::Verifier;
use crate::auth::secrets::{self, Secrets};
use crate::auth::unix_time;
use crate::context::App;
use crate::error::Error;
use crate::layout;
use crate::off::off_thread;

/// Where configuration is kept. Calls may block.
pub trait ConfigFiles: Send + Sync {
    /// Reads all files anew.
    ///
    /// # Errors
    /// The text says which file could not be read.
    fn load(&self) -> Result<Config, String>;

    /// Sets a value in the file that changes go to, or removes it; durable when it returns.
    ///
    /// # Errors
    /// The text says which file could not be written.
    fn save(&self, section: &str, key: &str, value: Option<&str>) -> Result<(), String>;
}

/// The configuration of now, and how to change it.
pub struct LiveConfig {
    current: watch::Sender<Arc<Config>>,
    files: Arc<dyn ConfigFiles>,
    /// Held by who changes it.
    turn: Mutex<()>,
}

impl LiveConfig {
    /// Begins with what the files said.
    #[must_use]
    pub fn new(config: Config, files: Box<dyn ConfigFiles>) -> Self {
        let current = watch::Sender::new(Arc::new(config));
        LiveConfig { current, files: files.into(), turn: Mutex::new(()) }
    }

    /// The configuration of now.
    #[must_use]
    pub fn now(&self) -> Arc<Config> {
        self.current.borrow().clone()
    }

    /// The same, and what becomes of it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn ConfigFiles) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.files.clone();
        let done = off_thread(move || work(&*files)).await?;
        done.map_err(|reason| Error::Internal("error", reason.into()))
    }

    fn swap(&self, change: impl FnOnce(&mut Config)) {
        let mut config = (*self.now()).clone();
        change(&mut config);
        self.current.send_replace(Arc::new(config));
    }
}

impl App {
    /// Sets a value, in the files too if `persist`; gives the old one. Passwords of administrators
    /// are kept hashed. An empty value is kept as none. What has begun is done to its end although
    /// nobody may wait for it any more.
    ///
    /// # Errors
    /// 400 for what could not be kept in a file.
    pub async fn set_config(
        self: &Arc<Self>,
        section: &str,
        key: &str,
        value: &str,
        persist: bool,
    ) -> Result<String, Error> {
        config::check(section, key, value)
            .map_err(|unfit| Error::BadRequest(unfit.to_string().into()))?;
        layout::check(section, key, value)?;
        // It may wait for long, and is nobody's turn meanwhile.
        let value = match section {
            "admins" if !value.is_empty() => self.hashed(value).await?,
            _ => value.to_owned(),
        };
        let (app, section, key) = (self.clone(), section.to_owned(), key.to_owned());
        uninterrupted(async move { app.change(&section, &key, &value, persist).await }).await
    }

    async fn change(
        &self,
        section: &str,
        key: &str,
        value: &str,
        persist: bool,
    ) -> Result<String, Error> {
        let _turn = self.config.turn.lock().await;
        let old = self.config.now().told(section, key).unwrap_or_default().to_owned();
        let main = config::newest(section, key);
        if persist && is_common(main, key) {
            self.share(main, key, value, &old).await?;
        } else {
            if persist {
                self.save(section, key, value).await?;
            }
            let section = if is_common(main, key) { main } else { section };
            self.config.swap(|config| config.set(section, key, value));
        }
        self.refresh();
        Ok(old)
    }

    /// Sets a value on all nodes. A secret that it replaces stays known as the one before.
    async fn share(&self, section: &str, key: &str, value: &str, old: &str) -> Result<(), Error> {
        let name = |key: &str| (section.to_owned(), key.to_owned());
        let (setting, before) = (name(key), name(secrets::BEFORE));
        let is_secret = (section, key) == SECRET;
        let (value, old) = (value.to_owned(), old.to_owned());
        let plan = move |known: &CommonSettings| {
            let mut plan = CommonSettings::from([(setting.clone(), value.clone())]);
            let old = known.get(&setting).unwrap_or(&old);
            if is_secret && !old.is_empty() && *old != value {
                plan.insert(before.clone(), Secrets::replaced(old, unix_time()));
            }
            plan
        };
        self.cluster.share_settings(plan).await?;
        self.config.swap(|config| overlay(config, &self.cluster.common_settings().borrow()));
        Ok(())
    }

    /// Writes a value to the files. What stands under both its names is to tell the same at the next
    /// start, too.
    async fn save(&self, section: &str, key: &str, value: &str) -> Result<(), Error> {
        let now = self.config.now();
        let other = config::alias(section, key).filter(|other| now.raw(other, key).is_some());
        let names: Vec<_> = [section].into_iter().chain(other).map(str::to_owned).collect();
        let (key, value) = (key.to_owned(), value.to_owned());
        let save = move |files: &dyn ConfigFiles| {
            let value = Some(&*value).filter(|value| !value.is_empty());
            names.iter().try_for_each(|section| files.save(section, &key, value))
        };
        self.config.with_files(save).await
    }

    /// Removes a value, whichever name it has, so that the one of an earlier file holds again, if there
    /// is one and the value was not the whole cluster's; gives the old one. `None` if there was none.
    ///
    /// # Errors
    /// 500 if the files cannot be read or written.
    pub async fn delete_config(
        self: &Arc<Self>,
        section: &str,
        key: &str,
        persist: bool,
    ) -> Result<Option<String>, Error> {
        let (app, section, key) = (self.clone(), section.to_owned(), key.to_owned());
        uninterrupted(async move { app.remove(&section, &key, persist).await }).await
    }

    async fn remove(
        &self,
        section: &str,
        key: &str,
        persist: bool,
    ) -> Result<Option<String>, Error> {
        let _turn = self.config.turn.lock().await;
        let Some(old) = self.config.now().told(section, key).map(str::to_owned) else {
            return Ok(None);
        };
        let main = config::newest(section, key);
        if persist && is_common(main, key) {
            self.cluster.share_setting(main, key, "").await?;
        }
        let common = self.cluster.common_settings().borrow().clone();
        let names = [section].into_iter().chain(config::alias(section, key));
        let names: Vec<String> = names.map(str::to_owned).collect();
        let (own_names, own_key) = (names.clone(), key.to_owned());
        let filed = self.config.with_files(move |files| {
            if persist {
                own_names.iter().try_for_each(|section| files.save(section, &own_key, None))?;
            }
            files.load()
        });
        let mut filed = filed.await?;
        overlay(&mut filed, &common);
        self.config.swap(|config| {
            names.iter().for_each(|section| config.remove(section, key));
            for section in &names {
                if let Some(value) = filed.raw(section, key) {
                    config.insert(section, key, value);
                }
            }
        });
        self.refresh();
        Ok(Some(old))
    }

    /// Takes the files' word for everything.
    ///
    /// # Errors
    /// 500 if they cannot be read.
    pub async fn reload_config(&self) -> Result<(), Error> {
        let _turn = self.config.turn.lock().await;
        let mut filed = self.config.with_files(|files| files.load()).await?;
        overlay(&mut filed, &self.cluster.common_settings().borrow());
        self.config.swap(|config| *config = filed);
        self.refresh();
        Ok(())
    }

    /// Takes over what holds on all nodes.
    async fn take_common(&self) {
        let _turn = self.config.turn.lock().await;
        let common = self.cluster.common_settings().borrow().clone();
        self.config.swap(|config| overlay(config, &common));
        self.refresh();
    }

    /// Gives sessions a secret, unless the cluster has one that this node does not know yet.
    ///
    /// # Errors
    /// 503 if the cluster cannot agree on it.
    pub async fn make_secret(self: &Arc<Self>) -> Result<(), Error> {
        let app = self.clone();
        let (name, made) = ((SECRET.0.to_owned(), SECRET.1.to_owned()), crate::random::hex_32());
        let plan = move |known: &CommonSettings| {
            let there = known.get(&name).is_some_and(|secret| !secret.is_empty());
            let made = (!there).then(|| (name.clone(), made.clone()));
            made.into_iter().collect()
        };
        uninterrupted(async move {
            let _turn = app.config.turn.lock().await;
            app.cluster.share_settings(plan).await?;
            app.config.swap(|config| overlay(config, &app.cluster.common_settings().borrow()));
            app.refresh();
            Ok(())
        })
        .await
    }

    async fn hashed(&self, password: &str) -> Result<String, Error> {
        if Verifier::from_admin(password).is_some() {
            return Ok(password.to_owned());
        }
        let settings = self.settings();
        let (kept, salt) = (&settings.auth.new_passwords, crate::random::hex_32());
        Ok(self.accounts.derivations().derive(kept, password, salt).await?.to_admin())
    }
}

/// Does work to its end although the request that wanted it may be given up in the middle.
async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let lost = |_| Err(Error::Internal("error", "interrupted".into()));
    tokio::spawn(work).await.unwrap_or_else(lost)
}

/// Takes over what holds on all nodes whenever it changes, until the coordinator is gone.
pub async fn follow_common(app: Arc<App>) {
    let mut common = app.cluster.common_settings();
    let app = Arc::downgrade(&app);
    loop {
        match app.upgrade() {
            Some(app) => app.take_common().await,
            None => return,
        }
        if common.changed().await.is_err() {
            return;
        }
    }
}

/// What sessions are proven with.
const SECRET: (&str, &str) = ("chttpd_auth", "secret");

/// Whether a setting is the cluster's and not the node's: who administers it, what proves who somebody
/// is, how databases are laid out, and which users have some, which one node sees to for all.
pub(crate) fn is_common(section: &str, key: &str) -> bool {
    match section {
        "admins" | "couch_peruser" => true,
        "chttpd_auth" => matches!(key, "secret" | secrets::BEFORE),
        "cluster" => matches!(key, "q" | "n" | "placement"),
        _ => false,
    }
}

/// Lets what holds on all nodes win over a node's files, whichever name it has there.
pub(crate) fn overlay(config: &mut Config, common: &CommonSettings) {
    for ((section, key), value) in common {
        if !value.is_empty() {
            config.set(section, key, value);
            continue;
        }
        for section in [section.as_str()].into_iter().chain(config::alias(section, key)) {
            config.remove(section, key);
        }
    }
}
