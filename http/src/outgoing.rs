//! Requests to other servers: a JSON body there, a JSON answer back, within a deadline. Plain HTTP
//! on a connection of its own; never follows a redirect and never tries again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: usize = 1 << 20;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody can be reached at the address.
    Unreachable,
    /// Somebody did not answer, or not in HTTP and JSON.
    Broken,
}

/// Posts JSON to `path` at `address` (`host:port`), as a user with a password.
///
/// # Errors
/// When there is no answer. Any status is one.
pub async fn post(
    address: &str,
    path: &str,
    user: (&str, &str),
    body: &Value,
) -> Result<(StatusCode, Value), Failure> {
    let exchange = exchange(address, path, user, body);
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(Failure::Unreachable))
}

async fn exchange(
    address: &str,
    path: &str,
    (name, password): (&str, &str),
    body: &Value,
) -> Result<(StatusCode, Value), Failure> {
    let stream = TcpStream::connect(address).await.map_err(|_| Failure::Unreachable)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| Failure::Broken)?;
    let request = Request::post(path)
        .header(HOST, address)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|_| Failure::Unreachable)?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|_| Failure::Broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| Failure::Broken)?.to_bytes();
        let value = settee_model::json::value(&body).map_err(|_| Failure::Broken)?;
        Ok((status, value))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may be over before its last bytes were taken.
        _ = connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn answered(text: &'static str) -> (Result<(StatusCode, Value), Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let length = stream.read(&mut seen).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&seen[..length]).into_owned()
        };
        let body = json!({"a": 1});
        tokio::join!(post(&address, "/_cluster_setup", ("ann", "secret"), &body), server)
    }

    #[tokio::test]
    async fn an_answer_comes_back_with_its_status() {
        let (answer, seen) =
            answered("HTTP/1.1 401 No\r\nContent-Length: 7\r\n\r\n{\"b\":2}").await;
        assert_eq!(answer, Ok((StatusCode::UNAUTHORIZED, json!({"b": 2}))));
        assert!(seen.starts_with("POST /_cluster_setup HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("Basic YW5uOnNlY3JldA=="), "{seen}");
        assert!(seen.ends_with("{\"a\":1}"), "{seen}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_a_failure() {
        assert_eq!(answered("220 mail\r\n").await.0, Err(Failure::Broken));
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let answer = post(&nobody.to_string(), "/", ("a", "b"), &Value::Null).await;
        assert_eq!(answer, Err(Failure::Unreachable));
    }
}
