//! Sets of characters of Latin-1, as members of a class in a pattern. Which ones they are is what
//! PCRE's tables in Erlang say. Never knows where in a pattern they stand.

/// Letters, digits and the underscore.
pub(super) const WORD: &str =
    r"0-9A-Za-z_\x{AA}\x{B5}\x{BA}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{FF}";
pub(super) const DIGIT: &str = "0-9";
pub(super) const SPACE: &str = r"\t-\r\x{20}";
/// Space within a line.
pub(super) const HORIZONTAL: &str = r"\t\x{20}\x{A0}";
/// Ends of lines.
pub(super) const VERTICAL: &str = r"\n-\r\x{85}";

/// The set that POSIX knows by a name.
pub(super) fn named(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"alpha" => r"A-Za-z\x{AA}\x{B5}\x{BA}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{FF}",
        b"alnum" => r"0-9A-Za-z\x{AA}\x{B5}\x{BA}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{FF}",
        b"lower" => r"a-z\x{AA}\x{B5}\x{BA}\x{DF}-\x{F6}\x{F8}-\x{FF}",
        b"upper" => r"A-Z\x{C0}-\x{D6}\x{D8}-\x{DE}",
        b"punct" => {
            r"!-/:-@\[-`{-~\x{A0}-\x{A9}\x{AB}-\x{B4}\x{B6}-\x{B9}\x{BB}-\x{BF}\x{D7}\x{F7}"
        }
        b"cntrl" => r"\x{00}-\x{1F}\x{7F}-\x{9F}",
        b"graph" => r"!-~\x{A1}-\x{FF}",
        b"print" => r"\x{20}-~\x{A0}-\x{FF}",
        b"ascii" => r"\x{00}-\x{7F}",
        b"blank" => HORIZONTAL,
        b"xdigit" => "0-9A-Fa-f",
        b"digit" => DIGIT,
        b"space" => SPACE,
        b"word" => WORD,
        _ => return None,
    })
}
