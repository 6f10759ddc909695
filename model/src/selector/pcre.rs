//! Patterns as CouchDB reads them: PCRE without its Unicode mode, which takes every byte of a text
//! for a character of Latin-1. Rewrites them in the syntax of the engines that settee has. Never
//! matches anything (see `pattern`).

use super::latin1::{DIGIT, HORIZONTAL, SPACE, VERTICAL, WORD, named};

/// A pattern in other words.
#[derive(Debug, PartialEq)]
pub(super) struct Rewritten {
    pub text: String,
    /// Whether it can't be matched without trying one way after the other: it looks around, goes
    /// back to what it found, or forbids going back.
    pub backtracks: bool,
}

/// Bytes of a pattern at most; PCRE in Erlang has about the same limit.
const LENGTH: usize = 1 << 16;
/// Bytes of `:xdigit:]` and the like at most.
const NAME: usize = 16;
/// Bytes of `65535,65535}` and the like at most.
const COUNT: usize = 16;
/// The end of the text, or the line feed that it ends with.
const END: &str = r"(?:\n?\z)";

/// Rewrites a pattern; `None` if PCRE refuses it, or if nobody here understands it.
pub(super) fn rewrite(pattern: &str) -> Option<Rewritten> {
    if pattern.len() > LENGTH {
        return None;
    }
    let mut writer = Writer {
        rest: pattern.as_bytes(),
        out: String::with_capacity(2 * pattern.len()),
        backtracks: false,
        groups: pattern.matches('(').count(),
        lines: has_flag(pattern, 'm'),
        last: Last::Other,
    };
    while let Some(byte) = writer.next() {
        writer.token(byte)?;
    }
    Some(Rewritten { text: writer.out, backtracks: writer.backtracks })
}

/// Whether a flag is set anywhere.
fn has_flag(pattern: &str, flag: char) -> bool {
    pattern.split("(?").skip(1).any(|after| {
        after.chars().take_while(char::is_ascii_lowercase).any(|letter| letter == flag)
    })
}

/// What was written last, as far as the next sign depends on it.
#[derive(PartialEq)]
enum Last {
    Quantifier,
    /// A quantifier that was said to be lazy or possessive.
    Done,
    Other,
}

struct Writer<'a> {
    rest: &'a [u8],
    out: String,
    backtracks: bool,
    /// Not less than there are.
    groups: usize,
    /// Whether `$` may stand for the end of a line.
    lines: bool,
    last: Last,
}

impl Writer<'_> {
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix.as_bytes());
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Up to and with an end, which must come; the end is left out.
    fn until(&mut self, end: &str) -> Option<String> {
        let at = self.rest.windows(end.len()).position(|window| window == end.as_bytes())?;
        let (text, rest) = self.rest.split_at(at);
        self.rest = rest.get(end.len()..)?;
        Some(text.iter().map(|byte| char::from(*byte)).collect())
    }

    /// One character that stands for itself.
    fn literal(&mut self, byte: u8) {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => self.out.push(char::from(byte)),
            _ => self.out.push_str(&format!("\\x{{{byte:02X}}}")),
        }
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        let mut last = Last::Other;
        match byte {
            b'\\' => self.escape(false)?,
            b'[' => self.class()?,
            b'(' => self.group()?,
            b'$' => self.out.push_str(if self.lines { "$" } else { END }),
            b'*' | b'+' | b'?' => last = self.quantifier(byte)?,
            b'{' => match counted(self.rest) {
                Some(_) if self.last != Last::Other => return None,
                Some(length) => {
                    let (count, rest) = self.rest.split_at(length);
                    self.rest = rest;
                    self.out.push('{');
                    self.out.extend(count.iter().map(|byte| char::from(*byte)));
                    last = Last::Quantifier;
                }
                None => self.out.push_str("\\{"),
            },
            b'}' | b']' => self.literal(byte),
            0x80.. => self.literal(byte),
            _ => self.out.push(char::from(byte)),
        }
        self.last = last;
        Some(())
    }

    fn quantifier(&mut self, byte: u8) -> Option<Last> {
        self.out.push(char::from(byte));
        match (&self.last, byte) {
            (Last::Other, _) => Some(Last::Quantifier),
            (Last::Quantifier, b'?') => Some(Last::Done),
            (Last::Quantifier, b'+') => {
                self.backtracks = true;
                Some(Last::Done)
            }
            _ => None,
        }
    }

    /// After an opening parenthesis.
    fn group(&mut self) -> Option<()> {
        if self.rest.starts_with(b"*") {
            return None;
        }
        if !self.skip("?") {
            self.out.push('(');
            return Some(());
        }
        if self.skip("#") {
            return self.until(")").map(drop);
        }
        for around in ["=", "!", "<=", "<!", ">"] {
            if self.skip(around) {
                self.backtracks = true;
                self.out.push_str("(?");
                self.out.push_str(around);
                return Some(());
            }
        }
        if self.skip("|") {
            self.out.push_str("(?:");
        } else if self.skip("P<") || self.skip("<") {
            self.out.push_str("(?<");
        } else if self.skip("'") {
            let name = self.until("'")?;
            self.out.push_str(&format!("(?<{name}>"));
        } else {
            self.flags()?;
        }
        Some(())
    }

    /// Flags, up to the colon or the parenthesis.
    fn flags(&mut self) -> Option<()> {
        let mut flags = String::new();
        let end = loop {
            match self.next()? {
                end @ (b':' | b')') => break char::from(end),
                // Names may come twice; letters are checked anyway.
                b'J' | b'X' => {}
                flag @ (b'i' | b'm' | b's' | b'x' | b'U' | b'-') => flags.push(char::from(flag)),
                _ => return None,
            }
        };
        let flags = flags.trim_end_matches('-');
        if end == ':' || !flags.is_empty() {
            self.out.push_str(&format!("(?{flags}{end}"));
        }
        Some(())
    }

    /// After an opening bracket.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        if self.skip("]") {
            self.literal(b']');
        }
        loop {
            match self.next()? {
                b']' => break,
                b'\\' => self.escape(true)?,
                b'[' if self.rest.starts_with(b":") => self.named_class()?,
                b'-' => self.out.push('-'),
                byte => self.literal(byte),
            }
        }
        self.out.push(']');
        Some(())
    }

    /// `[:alpha:]` and the like, after their bracket.
    fn named_class(&mut self) -> Option<()> {
        let near = self.rest.get(..NAME.min(self.rest.len()))?;
        let Some(end) = near.windows(2).position(|window| window == b":]") else {
            self.literal(b'[');
            return Some(());
        };
        let (name, rest) = self.rest.split_at(end);
        let name = name.strip_prefix(b":")?;
        let (negated, name) = match name.strip_prefix(b"^") {
            Some(name) => ("^", name),
            None => ("", name),
        };
        let members = named(name)?;
        self.rest = rest.get(2..)?;
        self.out.push_str(&format!("[{negated}{members}]"));
        Some(())
    }

    /// After a backslash.
    fn escape(&mut self, in_class: bool) -> Option<()> {
        let byte = self.next()?;
        let set = |negated: &str, members: &str| format!("[{negated}{members}]");
        let text = match byte {
            b'w' => set("", WORD),
            b'W' => set("^", WORD),
            b'd' => set("", DIGIT),
            b'D' => set("^", DIGIT),
            b's' => set("", SPACE),
            b'S' => set("^", SPACE),
            b'h' => set("", HORIZONTAL),
            b'H' => set("^", HORIZONTAL),
            b'v' => set("", VERTICAL),
            b'V' => set("^", VERTICAL),
            b'a' | b'f' | b'n' | b'r' | b't' => format!("\\{}", char::from(byte)),
            b'e' => r"\x{1B}".to_owned(),
            b'b' if in_class => r"\x{08}".to_owned(),
            b'x' | b'c' | b'0'..=b'9' => return self.number(byte, in_class),
            b'Q' => return self.quoted(),
            b'E' => String::new(),
            b'p' | b'P' => self.property(byte)?,
            b'N' if !in_class => r"[^\n]".to_owned(),
            b'R' if !in_class => format!(r"(?:\r\n|[{VERTICAL}])"),
            b'Z' if !in_class => END.to_owned(),
            // Nothing is asked of a match but that there is one, and it is looked for once.
            b'K' if !in_class => String::new(),
            b'G' if !in_class => r"\A".to_owned(),
            b'A' | b'z' | b'b' | b'B' if !in_class => format!("\\{}", char::from(byte)),
            b'k' if self.skip("<") => {
                self.backtracks = true;
                format!(r"\k<{}>", self.until(">")?)
            }
            b'C' | b'g' | b'k' | b'l' | b'L' | b'N' | b'o' | b'R' | b'u' | b'U' | b'X' => {
                return None;
            }
            byte => {
                self.literal(byte);
                String::new()
            }
        };
        self.out.push_str(&text);
        Some(())
    }

    /// Everything up to `\E`, or to the end, stands for itself.
    fn quoted(&mut self) -> Option<()> {
        while !self.skip(r"\E") {
            let Some(byte) = self.next() else { break };
            self.literal(byte);
        }
        Some(())
    }

    /// A character by its number, or what a group found.
    fn number(&mut self, kind: u8, in_class: bool) -> Option<()> {
        let code = match kind {
            b'x' if self.skip("{") => u8::from_str_radix(&self.until("}")?, 16).ok()?,
            b'x' => self.digits(0, 16, 2),
            b'c' => self.next()?.to_ascii_uppercase() ^ 0x40,
            b'8' | b'9' if self.groups < 8 => kind,
            b'1'..=b'9' if !in_class && !self.rest.first().is_some_and(u8::is_ascii_digit) => {
                self.backtracks = true;
                self.out.push_str(&format!("\\{}", char::from(kind)));
                return Some(());
            }
            b'0'..=b'7' => self.digits(u32::from(kind & 7), 8, 2),
            literal => literal,
        };
        self.literal(code);
        Some(())
    }

    /// A value with as many digits added to it as there are, up to a number of them.
    fn digits(&mut self, mut value: u32, radix: u32, most: usize) -> u8 {
        for _ in 0..most {
            let digit = self.rest.first().and_then(|byte| char::from(*byte).to_digit(radix));
            let Some(digit) = digit else { break };
            value = value * radix + digit;
            self.next();
        }
        (value & 255) as u8
    }

    /// `\pL` or `\p{Lu}`, after the letter.
    fn property(&mut self, letter: u8) -> Option<String> {
        let name = match self.skip("{") {
            true => self.until("}")?,
            false => char::from(self.next()?).to_string(),
        };
        let fine = name.chars().all(|char| char.is_ascii_alphanumeric() || "^_&".contains(char));
        fine.then(|| format!("\\{}{{{name}}}", char::from(letter)))
    }
}

/// The length of `2}`, `2,}` or `2,3}`, if that is what comes.
fn counted(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(COUNT).position(|byte| *byte == b'}')?;
    let (least, most) = match text.get(..end)?.split(|byte| *byte == b',').collect::<Vec<_>>()[..] {
        [least] => (least, least),
        [least, most] => (least, most),
        _ => return None,
    };
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}
