//! The command line and the environment (but for `SETTEE_LOG`, see `log`), as values. Reads no
//! configuration file; what overrules which is for `serve`, `home` and `admins` to say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A document database that any CouchDB client can be pointed at.
#[derive(Parser)]
#[command(name = "settee", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Named>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Named {
    /// Serve a data directory (what settee does without a command)
    Serve(Box<Serve>),
    /// Verify every checksum of a data directory that no server has open
    Check {
        /// The data directory
        data: PathBuf,
    },
}

/// What to do.
pub enum Command {
    /// Serve.
    Serve(Box<Serve>),
    /// Verify a data directory.
    Check {
        /// Where it is.
        data: PathBuf,
    },
}

/// How to serve. What is not given comes from the configuration.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Data directory; made if it is missing [default: couchdb/database_dir, or data]
    #[arg(long, value_name = "DIR", env = "SETTEE_DATA")]
    pub data: Option<PathBuf>,
    /// Address to listen at [default: chttpd/bind_address, or 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
    /// Port to listen at; 0 for any that is free [default: chttpd/port, or 5984]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Address to listen at for the other nodes of a cluster, once there is a cluster secret
    /// [default: cluster/mesh, or port 9100 on loopback; on all addresses if NODENAME or a seedlist
    /// says that there are others]
    #[arg(long, value_name = "ADDR:PORT")]
    pub mesh: Option<String>,
    /// Nodes that may tell this one its cluster, between commas: name@host or host:port
    /// [default: cluster/seedlist]
    #[arg(long, value_name = "NODES", env = "SETTEE_SEEDLIST")]
    pub seedlist: Option<String>,
    /// Configuration files, or directories of *.ini files; later ones win, and the last one is
    /// where changes are kept [default: local.ini and local.d in the data directory]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Files of Fauxton, shown at /_utils
    #[arg(long, value_name = "DIR", env = "COUCHDB_FAUXTON_DOCROOT")]
    pub fauxton: Option<PathBuf>,
    /// First administrator's name
    #[arg(long, env = "COUCHDB_USER", hide = true)]
    pub user: Option<String>,
    /// First administrator's password
    #[arg(long, env = "COUCHDB_PASSWORD", hide = true, hide_env_values = true)]
    pub password: Option<String>,
    /// Key of session cookies
    #[arg(long, env = "COUCHDB_SECRET", hide = true, hide_env_values = true)]
    pub secret: Option<String>,
    /// This node's name
    #[arg(long, env = "NODENAME", hide = true)]
    pub node_name: Option<String>,
    /// Secret of the cluster
    #[arg(long, env = "COUCHDB_ERLANG_COOKIE", hide = true, hide_env_values = true)]
    pub cookie: Option<String>,
    /// Flags for Erlang, of which -setcookie has a meaning here
    #[arg(
        long,
        env = "ERL_FLAGS",
        hide = true,
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    pub erl_flags: Option<String>,
}

/// Reads the command line; ends the program for `--help`, `--version` and mistakes.
pub fn parse() -> Command {
    let line = Line::parse();
    match line.command {
        None => Command::Serve(Box::new(line.serve)),
        Some(Named::Serve(serve)) => Command::Serve(serve),
        Some(Named::Check { data }) => Command::Check { data },
    }
}

impl Serve {
    /// The node's name in CouchDB's form, `name@host`.
    pub fn full_node_name(&self) -> Option<String> {
        let name = self.node_name.as_deref().filter(|name| !name.is_empty())?;
        Some(if name.contains('@') { name.to_owned() } else { format!("couchdb@{name}") })
    }

    /// The cluster's secret as the environment says it, the way CouchDB is told its cookie.
    pub fn cluster_secret(&self) -> Option<&str> {
        let mut flags = self.erl_flags.as_deref().unwrap_or_default().split_whitespace();
        let flag = flags.find(|flag| *flag == "-setcookie").and_then(|_| flags.next());
        let unquoted = flag.map(|flag| flag.trim_matches(['"', '\'']));
        unquoted.or(self.cookie.as_deref()).filter(|secret| !secret.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Line {
        Line::try_parse_from([&["settee"], words].concat()).unwrap()
    }

    #[test]
    fn serve_is_what_settee_alone_does() {
        let alone = line(&["--port", "1", "--config", "a.ini", "b"]);
        assert!(alone.command.is_none());
        assert_eq!(alone.serve.port, Some(1));
        assert_eq!(alone.serve.config, [PathBuf::from("a.ini"), PathBuf::from("b")]);
        let named = line(&["serve", "--data", "x", "--bind", "::1"]);
        let Some(Named::Serve(serve)) = named.command else { panic!("serve") };
        assert_eq!((serve.data, serve.bind), (Some("x".into()), Some("::1".to_owned())));
        assert!(matches!(line(&["check", "x"]).command, Some(Named::Check { .. })));
        assert!(Line::try_parse_from(["settee", "check"]).is_err());
    }

    #[test]
    fn the_secret_of_the_cluster_is_erlangs_cookie() {
        let mut serve = line(&["--erl-flags", "-name x -setcookie \"monster\" +K true"]).serve;
        serve.cookie = Some("other".into());
        assert_eq!(serve.cluster_secret(), Some("monster"));
        serve.erl_flags = Some("-kernel x".into());
        assert_eq!(serve.cluster_secret(), Some("other"));
        serve.cookie = Some(String::new());
        assert_eq!(serve.cluster_secret(), None);
    }

    #[test]
    fn node_names_have_a_host() {
        let mut serve = line(&[]).serve;
        for (given, full) in [("a.example", "couchdb@a.example"), ("x@y", "x@y")] {
            serve.node_name = Some(given.to_owned());
            assert_eq!(serve.full_node_name().as_deref(), Some(full));
        }
    }
}
