//! [`buffered`]: an answer that is not begun before its end is known, for clients that had rather have
//! an error than half an answer (`[chttpd] buffer_response`, `?buffer_response=true`). Never holds
//! more than [`MOST`] of it: what is longer goes on as it comes.

use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::{Reply, ReplyBody};

/// Bytes of an answer that are held back.
const MOST: usize = 4 << 20;

/// Whether an answer is to be held back. Feeds that have no end are not.
#[must_use]
pub fn wanted(ctx: &Ctx, reply: &Reply) -> bool {
    let asked = match ctx.query.get("buffer_response") {
        Some("true") => true,
        Some("false") => false,
        _ => ctx.settings.buffer_response,
    };
    let endless = matches!(ctx.query.get("feed"), Some("continuous" | "eventsource"));
    let ReplyBody::Stream(stream) = &reply.body else { return false };
    let media = reply.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let json = media.is_some_and(|media| media.starts_with("application/json"));
    asked && !endless && !ctx.head && json && stream.length().is_none()
}

/// An answer whose end is known, or that is longer than is held back.
///
/// # Errors
/// What would have broken the answer off.
pub async fn buffered(reply: Reply) -> Result<Reply, Error> {
    let Reply { status, headers, mut body } = reply;
    let mut held = Vec::new();
    let body = loop {
        let Some(frame) = body.frame().await else {
            break Reply::stream(status, None, |mut sink| async move {
                sink.send(held).await;
                Ok(())
            });
        };
        held.extend_from_slice(&frame.map_err(Error::from)?.into_data().unwrap_or_default());
        if held.len() > MOST {
            break Reply::stream(status, None, |mut sink| async move {
                sink.send(held).await;
                while let Some(frame) = body.frame().await {
                    sink.send(frame.map_err(Error::from)?.into_data().unwrap_or_default()).await;
                }
                Ok(())
            });
        }
    };
    Ok(Reply { headers, ..body })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::Collected;

    use super::*;

    fn streamed(pieces: usize, of: usize, end: Result<(), Error>) -> Reply {
        Reply::json_stream(StatusCode::OK, move |mut sink| async move {
            for _ in 0..pieces {
                sink.send(vec![b'x'; of]).await;
            }
            end
        })
    }

    async fn length(reply: Reply) -> Option<usize> {
        reply.body.collect().await.map(Collected::to_bytes).ok().map(|bytes| bytes.len())
    }

    #[tokio::test]
    async fn nothing_is_sent_of_an_answer_that_fails() {
        let whole = buffered(streamed(3, 10, Ok(()))).await.unwrap();
        assert_eq!(whole.headers.get(CONTENT_TYPE).unwrap(), "application/json");
        assert_eq!(length(whole).await, Some(30));
        let failed = buffered(streamed(3, 10, Err(Error::Timeout))).await;
        assert_eq!(failed.err(), Some(Error::Timeout));
    }

    #[tokio::test]
    async fn a_long_answer_is_not_held() {
        let long = buffered(streamed(10, MOST / 4, Ok(()))).await.unwrap();
        assert_eq!(length(long).await, Some(10 * (MOST / 4)));
        let failed = buffered(streamed(10, MOST / 4, Err(Error::Timeout))).await.unwrap();
        assert_eq!(length(failed).await, None, "it is broken off");
    }
}
