//! The four ways in which a feed of changes is written: one object (`normal`, `longpoll`), a line
//! for each change (`continuous`), or server-sent events. Used by `_changes` and `_db_updates`.
//! Never reads a change.

use settee_model::json::escape_into;

/// How a feed ends and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// One object with what is there.
    Normal,
    /// One object, once there is something.
    Longpoll,
    /// A line for each change, on and on.
    Continuous,
    /// Server-sent events, on and on.
    EventSource,
}

impl Feed {
    /// Reads the parameter `feed`; `None` for a word that CouchDB does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "normal" => Feed::Normal,
            "longpoll" => Feed::Longpoll,
            "continuous" | "live" => Feed::Continuous,
            "eventsource" => Feed::EventSource,
            _ => return None,
        })
    }

    /// What precedes the first change.
    #[must_use]
    pub fn opening(self) -> &'static str {
        match self {
            Feed::Normal | Feed::Longpoll => "{\"results\":[\n",
            Feed::Continuous | Feed::EventSource => "",
        }
    }

    /// What precedes a change.
    #[must_use]
    pub fn before(self, first: bool) -> &'static str {
        match self {
            Feed::Normal | Feed::Longpoll if first => "",
            Feed::Normal | Feed::Longpoll => ",\r\n",
            Feed::Continuous => "",
            Feed::EventSource => "data: ",
        }
    }

    /// What follows a change with that sequence.
    pub fn after(self, out: &mut Vec<u8>, seq: Option<&str>) {
        match self {
            Feed::Normal | Feed::Longpoll => {}
            Feed::Continuous => out.push(b'\n'),
            Feed::EventSource => {
                out.extend_from_slice(b"\nid: ");
                match seq {
                    Some(seq) => escape_into(out, seq),
                    None => out.extend_from_slice(b"null"),
                }
                out.extend_from_slice(b"\n\n");
            }
        }
    }

    /// What tells a client, or a proxy on the way, that the feed lives.
    #[must_use]
    pub fn heartbeat(self) -> &'static str {
        match self {
            Feed::EventSource => "event: heartbeat\ndata: \n\n",
            _ => "\n",
        }
    }

    /// What follows the last change. `pending` is left out where there is none to tell.
    pub fn closing(self, out: &mut Vec<u8>, last_seq: &str, pending: Option<u64>) {
        let opening: &[u8] = match self {
            Feed::Normal | Feed::Longpoll => b"\n],\n\"last_seq\":",
            Feed::Continuous => b"{\"last_seq\":",
            Feed::EventSource => return,
        };
        out.extend_from_slice(opening);
        escape_into(out, last_seq);
        if let Some(pending) = pending {
            out.extend_from_slice(format!(",\"pending\":{pending}").as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }
}
