//! `/_cluster_setup`: how operators and Fauxton make a cluster of nodes. Decides what to say and
//! keeps settings; nodes are joined by the coordinator.

use http::StatusCode;
use serde_json::{Value, json};
use settee_model::docid::DbName;

use crate::context::Ctx;
use crate::error::Error;
use crate::listing;
use crate::outgoing::{self, Failure};
use crate::random;
use crate::reply::Reply;

/// Port of a node whose request does not say.
const PORT: u64 = 5984;
/// Copies of new shards, at most, unless the configuration says more.
const COPIES: u64 = 3;

/// `GET /_cluster_setup`
pub async fn state(ctx: &mut Ctx) -> Result<Reply, Error> {
    let names = match ctx.query.get("ensure_dbs_exist") {
        None => json!(["_users", "_replicator"]),
        Some(text) => {
            settee_model::json::value(text.as_bytes()).map_err(|_| Error::invalid_json())?
        }
    };
    let there = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        ctx.app.cluster.db(&DbName::trusted(name)).is_ok()
    };
    let all_there = names.as_array().is_some_and(|names| names.iter().all(there));
    let config = ctx.app.config.now();
    let single = config.boolean("couchdb", "single_node", false);
    let state = match (config.parsed("cluster", "n", COPIES), is_enabled(ctx), all_there) {
        _ if single => "single_node_enabled",
        (1, _, true) => "single_node_enabled",
        (1, _, false) => "single_node_disabled",
        (_, false, _) => "cluster_disabled",
        (_, true, false) => "cluster_enabled",
        (_, true, true) => "cluster_finished",
    };
    Ok(Reply::json(StatusCode::OK, json!({"state": state}).to_string()))
}

/// `POST /_cluster_setup`
pub async fn act(ctx: &mut Ctx) -> Result<Reply, Error> {
    ctx.require_json()?;
    let body = ctx.body.json().await?;
    let setup = Setup(listing::object(&body)?);
    let mut done = json!({"ok": true});
    match setup.text("action") {
        Some("enable_single_node") => enable(ctx, &setup, 1).await?,
        Some("enable_cluster") if setup.text("remote_node").is_some() => {
            enable_other(ctx, &setup).await?;
        }
        Some("enable_cluster") => enable_cluster(ctx, &setup).await?,
        Some("add_node") => add_node(ctx, &setup).await?,
        Some("remove_node") => remove_node(ctx, &setup).await?,
        Some("finish_cluster") => finish(ctx).await?,
        Some("receive_cookie") => {
            let cookie = setup.required("cookie")?;
            ctx.app.cluster.set_secret(cookie).await?;
            ctx.app.set_config("cluster", "secret", cookie, true).await?;
            // Told to nodes of settee, which ask for it in this way; others do not look.
            done = json!({"ok": true, "mesh": ctx.app.cluster.mesh_address()});
        }
        _ => return Err(Error::bad_request("Invalid Action'")),
    }
    Ok(Reply::json(StatusCode::CREATED, done.to_string()))
}

/// What a request asks for.
struct Setup(Value);

impl Setup {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn required(&self, name: &str) -> Result<&str, Error> {
        let missing = || Error::BadRequest(format!("`{name}` is missing.").into());
        self.text(name).ok_or_else(missing)
    }

    /// A number, as such or as text.
    fn number(&self, name: &str) -> Option<u64> {
        let value = self.0.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// As CouchDB tells: whoever others can reach is meant for a cluster.
fn is_enabled(ctx: &Ctx) -> bool {
    let config = ctx.app.config.now();
    config.get("chttpd", "bind_address").is_some_and(|bind| bind != "127.0.0.1")
}

async fn enable_cluster(ctx: &Ctx, setup: &Setup) -> Result<(), Error> {
    if is_enabled(ctx) {
        return Err(Error::bad_request("Cluster is already enabled"));
    }
    if setup.text("bind_address").is_none_or(|bind| matches!(bind, "127.0.0.1" | "::1")) {
        let reason = "Cluster setup requires a remote bind_address (not 127.0.0.1 nor ::1)";
        return Err(Error::Internal("error", reason.into()));
    }
    let Some(count) = setup.number("node_count") else {
        let reason = "Cluster setup requires node_count to be configured";
        return Err(Error::Internal("error", reason.into()));
    };
    enable(ctx, setup, count.clamp(1, COPIES)).await
}

/// Keeps what the node shall be. The address and the port hold from the next start on.
async fn enable(ctx: &Ctx, setup: &Setup, copies: u64) -> Result<(), Error> {
    let bind = setup.text("bind_address").unwrap_or("0.0.0.0");
    if bind.parse::<std::net::IpAddr>().is_err() {
        return Err(Error::Internal("error", format!("{bind} is invalid.").into()));
    }
    let password = setup.text("password_hash").or_else(|| setup.text("password"));
    if let (Some(name), Some(password)) = (setup.text("username"), password) {
        ctx.app.set_config("admins", name, password, true).await?;
    }
    ctx.app.set_config("chttpd", "bind_address", bind, true).await?;
    ctx.app.set_config("cluster", "n", &copies.to_string(), true).await?;
    if let Some(port) = setup.number("port") {
        ctx.app.set_config("chttpd", "port", &port.to_string(), true).await?;
    }
    Ok(())
}

/// Asks another node to do the same, with this node's administrator.
async fn enable_other(ctx: &Ctx, setup: &Setup) -> Result<(), Error> {
    let host = setup.required("remote_node")?;
    let port = setup.number("port").unwrap_or(PORT);
    let name = setup.required("username")?;
    let config = ctx.app.config.now();
    let body = json!({
        "action": "enable_cluster",
        "username": name,
        "password_hash": config.get("admins", name),
        "password": setup.text("password"),
        "bind_address": setup.text("bind_address"),
        "port": port,
        "node_count": setup.number("node_count"),
    });
    let user = (
        setup.text("remote_current_user").unwrap_or(name),
        setup.text("remote_current_password").or_else(|| setup.text("password")),
    );
    let user = (user.0, user.1.unwrap_or_default());
    let answer = outgoing::post(&format!("{host}:{port}"), "/_cluster_setup", user, &body).await;
    match answer {
        Ok((StatusCode::CREATED, _)) => Ok(()),
        Ok((_, said))
            if said.get("reason").is_some_and(|it| it == "Cluster is already enabled") =>
        {
            Ok(())
        }
        Ok((_, said)) => {
            let reason = said.get("reason").and_then(Value::as_str).unwrap_or_default();
            Err(Error::BadRequest(format!("{host} refused: {reason}").into()))
        }
        Err(_) => Err(Error::BadRequest(format!("{host}:{port} does not answer.").into())),
    }
}

/// Gives the other node the secret, learns where its mesh is, and lets it join.
async fn add_node(ctx: &Ctx, setup: &Setup) -> Result<(), Error> {
    if !is_enabled(ctx) {
        return Err(Error::bad_request("Cluster is not enabled."));
    }
    let host = setup.required("host")?;
    let port = setup.number("port").unwrap_or(PORT);
    let user = (setup.required("username")?, setup.required("password")?);
    let cookie = secret(ctx).await?;
    let body = json!({"action": "receive_cookie", "cookie": cookie});
    let answer = outgoing::post(&format!("{host}:{port}"), "/_cluster_setup", user, &body).await;
    let said = match answer {
        Ok((StatusCode::CREATED, said)) => said,
        Ok((StatusCode::UNAUTHORIZED, _)) => {
            return Err(Error::bad_request("Add node failed. Invalid admin credentials,"));
        }
        Ok((_, said)) => {
            let reason = said.get("reason").and_then(Value::as_str).unwrap_or_default();
            return Err(Error::BadRequest(format!("Add node failed. {reason}").into()));
        }
        Err(Failure::Unreachable | Failure::Broken) => {
            return Err(Error::bad_request("Add node failed. Invalid Host and/or Port."));
        }
    };
    let Some(mesh) = said.get("mesh").and_then(Value::as_str) else {
        return Err(Error::bad_request("Add node failed. The other node is no settee."));
    };
    let address = match mesh.rsplit_once(':') {
        Some((_, port)) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(ctx.app.cluster.add_node(&address).await?)
}

/// What the nodes of the cluster know. Whoever has none makes one.
async fn secret(ctx: &Ctx) -> Result<String, Error> {
    if let Some(secret) = ctx.app.config.now().get("cluster", "secret") {
        return Ok(secret.to_owned());
    }
    let secret = random::hex_32();
    ctx.app.set_config("cluster", "secret", &secret, true).await?;
    ctx.app.cluster.set_secret(&secret).await?;
    Ok(secret)
}

async fn remove_node(ctx: &Ctx, setup: &Setup) -> Result<(), Error> {
    let Some(host) = setup.text("host") else { return Ok(()) };
    let name = setup.text("name").unwrap_or("couchdb");
    let name = if host.contains('@') { host.to_owned() } else { format!("{name}@{host}") };
    Ok(ctx.app.cluster.remove_node(&name).await?)
}

/// Databases of the system are there from the first start on, so what is left is to see that all
/// nodes are.
async fn finish(ctx: &Ctx) -> Result<(), Error> {
    let members = ctx.app.cluster.members();
    if members.cluster_nodes.iter().all(|node| members.all_nodes.contains(node)) {
        return Ok(());
    }
    let reason = "Cluster setup timed out waiting for nodes to connect";
    Err(Error::Internal("setup_error", reason.into()))
}
