//! [`Log`]: the program's subscriber. What is told, in which words and where to follows `[log]`; how much
//! is told can change while it runs. Nothing that is told here waits for a disk or a terminal.

mod line;
mod sink;

use std::error::Error;
use std::sync::Arc;

use settee_http::access;
use settee_model::config::Config;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use line::{Form, Lines};
use sink::{Output, Sink};

/// What is told, whatever the configuration says.
const OVERRULED_BY: &str = "SETTEE_LOG";

/// The log while the program runs; what was told is written when it is dropped.
pub struct Log {
    levels: Option<reload::Handle<EnvFilter, Registry>>,
    sink: Sink,
}

impl Log {
    /// Begins to listen to what the program tells. Errs if the file cannot be written.
    pub fn start(config: &Config, node: &str) -> Result<Log, Box<dyn Error>> {
        let given = std::env::var(OVERRULED_BY).ok().filter(|given| !given.is_empty());
        let filter = given.clone().unwrap_or_else(|| filter(config));
        let (filter, levels) = reload::Layer::new(EnvFilter::new(filter));
        let sink = Sink::new(output(config)?)?;
        let lines = Lines::new(form(config), node.to_owned(), longest(config), sink.clone());
        // Fails only if there is one already, which is then as good.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Ok(Log { levels: given.is_none().then_some(levels), sink })
    }

    /// Tells as much as the configuration says, each time that it changes, until it never will again.
    pub fn follow(
        &self,
        mut config: watch::Receiver<Arc<Config>>,
    ) -> impl Future<Output = ()> + use<> {
        let levels = self.levels.clone();
        let mut before = None;
        async move {
            loop {
                let wanted = filter(&config.borrow_and_update());
                if let Some(levels) = levels.as_ref().filter(|_| before.as_ref() != Some(&wanted)) {
                    let _ = levels.reload(EnvFilter::new(&wanted));
                    before = Some(wanted);
                }
                if config.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

/// What each level tells. Requests are of the level `notice`, between `info` and `warning`.
fn filter(config: &Config) -> String {
    let told = match config.get("log", "level").unwrap_or("info") {
        "debug" | "1" => "debug",
        "notice" | "3" => return format!("warn,{}=info,openraft=off", access::TARGET),
        "warning" | "warn" | "4" => "warn",
        "error" | "err" | "critical" | "crit" | "alert" | "emergency" | "emerg" | "5" | "6"
        | "7" | "8" => "error",
        "none" | "9" => "off",
        _ => "info",
    };
    // Raft tells every message that a dead node misses; what matters is said by the cluster.
    format!("{told},openraft=off")
}

fn form(config: &Config) -> Form {
    match (config.get("log", "writer"), config.get("log", "format")) {
        (_, Some("json")) => Form::Json,
        (Some("journald"), _) => Form::Journal,
        _ => Form::Plain,
    }
}

fn output(config: &Config) -> std::io::Result<Output> {
    match config.get("log", "writer") {
        Some("file") => Output::file(config.get("log", "file").unwrap_or("./couch.log").into()),
        None | Some("stderr" | "journald") => Ok(Output::Stderr),
        Some(other) => {
            eprintln!("settee: no log writer is called {other}: it is stderr");
            Ok(Output::Stderr)
        }
    }
}

fn longest(config: &Config) -> usize {
    config.parsed("log", "max_message_size", 16_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_couchdbs() {
        let told = |level: &str| {
            let mut config = Config::default();
            config.set("log", "level", level);
            filter(&config)
        };
        for (level, expected) in [
            ("debug", "debug,openraft=off"),
            ("", "info,openraft=off"),
            ("notice", "warn,settee::access=info,openraft=off"),
            ("warn", "warn,openraft=off"),
            ("crit", "error,openraft=off"),
            ("none", "off,openraft=off"),
            ("nonsense", "info,openraft=off"),
        ] {
            assert_eq!(told(level), expected, "{level}");
        }
    }
}
