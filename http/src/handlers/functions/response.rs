//! From the response object that a function made to an answer. Never runs the function, and never says
//! how the answer is sent: that is the connection's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::context::Ctx;
use crate::csp;
use crate::error::Error;
use crate::reply::{Reply, ReplyBody};

/// What a response object says.
#[derive(Debug)]
pub struct Response {
    code: Option<u16>,
    /// What the body is unless a header says so.
    media: &'static str,
    json: Option<Vec<u8>>,
    body: Vec<u8>,
    headers: HeaderMap,
}

impl Default for Response {
    fn default() -> Self {
        let (code, media, json) = (None, JSON, None);
        Response { code, media, json, body: Vec::new(), headers: HeaderMap::new() }
    }
}

const JSON: &str = "application/json";

impl Response {
    /// Reads a response object.
    ///
    /// # Errors
    /// 500 for members that mean nothing, or have wrong types.
    pub fn read(json: &str) -> Result<Self, Error> {
        let Ok(Value::Object(members)) = serde_json::from_str(json) else {
            return Err(wrong("badarg"));
        };
        let mut response = Response::default();
        for (name, value) in &members {
            response.take(name, value)?;
        }
        Ok(response)
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        match (name, value) {
            ("", _) | ("stop", Value::Bool(true)) => {}
            ("code", value) => {
                let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
                self.code = Some(
                    code.filter(|code| (200..1000).contains(code))
                        .ok_or_else(|| wrong("badarg"))?,
                );
            }
            // It is what is sent, whatever else there is.
            ("json", value) => {
                (self.json, self.media) = (Some(value.to_string().into_bytes()), JSON);
            }
            ("body", Value::String(text)) => {
                (self.body, self.media) = (text.clone().into_bytes(), "text/html; charset=utf-8");
            }
            ("body", _) => return Err(wrong("badarg")),
            ("base64", Value::String(text)) => {
                let bytes = STANDARD.decode(text.split_whitespace().collect::<String>());
                self.body = bytes.map_err(|_| wrong("badarg"))?;
                self.media = "application/binary";
            }
            ("headers", Value::Object(headers)) => {
                for (name, value) in headers {
                    if let Some(value) = header_text(value) {
                        self.set_header(name, &value);
                    }
                }
            }
            (name, value) => {
                let reason = format!(
                    "Invalid data from external server: {{<<\"{name}\">>,{}}}",
                    erlang(value)
                );
                return Err(Error::Internal("external_response_error", reason.into()));
            }
        }
        Ok(())
    }

    /// The status if the function did not say one.
    #[must_use]
    pub fn or_code(mut self, code: StatusCode) -> Self {
        self.code.get_or_insert(code.as_u16());
        self
    }

    /// Sets a header in place of the function's; one that none can be is left out.
    pub fn set_header(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            self.headers.insert(name, value);
        }
    }

    /// Status and headers of a body that comes in pieces.
    #[must_use]
    pub fn head(mut self, ctx: &Ctx) -> (StatusCode, HeaderMap) {
        (self.json, self.body) = (None, Vec::new());
        let Reply { status, headers, .. } = self.reply(ctx);
        (status, headers)
    }

    /// The answer.
    #[must_use]
    pub fn reply(self, ctx: &Ctx) -> Reply {
        let code = self.code.unwrap_or(200);
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = self.headers;
        leave_to_connection(&mut headers);
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(self.media));
        restrict(ctx, &mut headers);
        if let Some(mut json) = self.json {
            json.push(b'\n');
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("must-revalidate"));
            return Reply { status, headers, body: ReplyBody::Full(json.into()) };
        }
        Reply { status, headers, body: ReplyBody::Full(self.body.into()) }
    }
}

/// How long an answer is, and how it is sent, is for the connection to say.
pub fn leave_to_connection(headers: &mut HeaderMap) {
    const ITS_OWN: [&str; 7] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    ITS_OWN.iter().for_each(|name| drop(headers.remove(*name)));
}

/// What a browser shows of a function's making shall do nothing in the name of its reader. Policies of
/// the function's own can only restrict that further.
pub fn restrict(ctx: &Ctx, headers: &mut HeaderMap) {
    csp::restrict(headers, ctx.settings.csp.functions.as_ref());
}

fn header_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

fn wrong(reason: &'static str) -> Error {
    Error::Internal("unknown_error", reason.into())
}

/// A value as Erlang prints it.
fn erlang(value: &Value) -> String {
    match value {
        Value::String(text) => {
            format!("<<\"{}\">>", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(erlang).collect();
            format!("[{}]", list.join(","))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{{<<\"{name}\">>,{}}}", erlang(value));
            let members: Vec<_> = members.iter().map(member).collect();
            format!("{{[{}]}}", members.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_an_error() {
        let error = Response::read(r#"{"foo":1}"#).unwrap_err();
        let reason = "Invalid data from external server: {<<\"foo\">>,1}";
        assert_eq!((error.info().1, &*error.info().2), ("external_response_error", reason));
        assert!(Response::read(r#"{"body":5}"#).is_err());
        assert!(Response::read(r#"{"code":"x"}"#).is_err());
        assert!(Response::read(r#"{"code":101}"#).is_err());
        assert!(Response::read(r#"{"base64":"%"}"#).is_err());
        assert_eq!(erlang(&serde_json::json!({"a": [1, "b"]})), "{[{<<\"a\">>,[1,<<\"b\">>]}]}");
    }

    #[test]
    fn the_functions_own_code_wins() {
        let response = Response::read(r#"{"code":303,"body":"x"}"#).unwrap();
        assert_eq!(response.or_code(StatusCode::CREATED).code, Some(303));
        let response =
            Response::read(r#"{"headers":{"X-N":5}}"#).unwrap().or_code(StatusCode::CREATED);
        assert_eq!((response.code, response.headers["x-n"].to_str().unwrap()), (Some(201), "5"));
    }
}
