//! Reads Erlang's external term format into JSON, as far as bookmarks need it. Whatever a
//! stranger sends costs no more than its length, and nesting is bounded. Never writes terms (see
//! `settee_model::hash::term`).

use serde_json::{Map, Number, Value};

/// A term that JSON has a value for, or that stands around such a one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Atom(String),
    Binary(Vec<u8>),
    /// An integer in decimal digits, with its sign.
    Integer(String),
    Float(f64),
    List(Vec<Term>),
    Tuple(Vec<Term>),
}

impl Term {
    /// Reads a term, version byte first; `None` if the bytes are not one term.
    pub fn read(bytes: &[u8]) -> Option<Term> {
        let mut reader = Reader { rest: bytes.strip_prefix(&[131])? };
        let term = reader.term(0)?;
        reader.rest.is_empty().then_some(term)
    }

    /// The value that CouchDB means by the term.
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Term::Atom(name) => match name.as_str() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return None,
            },
            Term::Binary(bytes) => Value::from(std::str::from_utf8(bytes).ok()?),
            Term::Integer(digits) => Value::Number(digits.parse().ok()?),
            Term::Float(float) => Value::Number(Number::from_f64(*float)?),
            Term::List(items) => items.iter().map(Term::to_json).collect::<Option<_>>()?,
            Term::Tuple(items) => match items.as_slice() {
                [Term::List(members)] => object(members)?,
                _ => return None,
            },
        })
    }
}

fn object(members: &[Term]) -> Option<Value> {
    let member = |term: &Term| match term {
        Term::Tuple(pair) => match pair.as_slice() {
            [Term::Binary(name), value] => {
                Some((String::from_utf8(name.clone()).ok()?, value.to_json()?))
            }
            _ => None,
        },
        _ => None,
    };
    Some(Value::Object(members.iter().map(member).collect::<Option<Map<_, _>>>()?))
}

/// Terms inside of terms; an object takes three. Keys of indexes have far fewer.
const DEEPEST: usize = 256;

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<usize> {
        self.array::<1>().map(|[byte]| usize::from(byte))
    }

    fn short(&mut self) -> Option<usize> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn long(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn term(&mut self, depth: usize) -> Option<Term> {
        if depth > DEEPEST {
            return None;
        }
        match self.byte()? {
            97 => Some(Term::Integer(self.byte()?.to_string())),
            98 => Some(Term::Integer(i32::from_be_bytes(self.array()?).to_string())),
            70 => Some(Term::Float(f64::from_be_bytes(self.array()?))),
            100 | 118 => self.short().and_then(|length| self.atom(length)),
            115 | 119 => self.byte().and_then(|length| self.atom(length)),
            104 => self.byte().and_then(|count| self.terms(count, depth)).map(Term::Tuple),
            105 => self.long().and_then(|count| self.terms(count, depth)).map(Term::Tuple),
            106 => Some(Term::List(Vec::new())),
            107 => {
                let count = self.short()?;
                let bytes = self.take(count)?;
                Some(Term::List(bytes.iter().map(|byte| Term::Integer(byte.to_string())).collect()))
            }
            108 => {
                let count = self.long()?;
                let items = self.terms(count, depth)?;
                (self.byte()? == 106).then_some(Term::List(items))
            }
            109 => self.long().and_then(|length| Some(Term::Binary(self.take(length)?.to_vec()))),
            110 => self.byte().and_then(|length| self.big(length)),
            111 => self.long().and_then(|length| self.big(length)),
            _ => None,
        }
    }

    fn atom(&mut self, length: usize) -> Option<Term> {
        let name = std::str::from_utf8(self.take(length)?).ok()?;
        Some(Term::Atom(name.to_owned()))
    }

    fn terms(&mut self, count: usize, depth: usize) -> Option<Vec<Term>> {
        // Each takes a byte at least.
        if count > self.rest.len() {
            return None;
        }
        (0..count).map(|_| self.term(depth + 1)).collect()
    }

    /// An integer by its bytes, the lowest first. Only as large as keys have them.
    fn big(&mut self, length: usize) -> Option<Term> {
        const LONGEST: usize = 512;
        let negative = self.byte()? == 1;
        let bytes = self.take(length).filter(|bytes| bytes.len() <= LONGEST)?;
        // Decimal digits, the lowest first.
        let mut digits = vec![0_u8];
        for byte in bytes.iter().rev() {
            let mut carry = u32::from(*byte);
            for digit in &mut digits {
                carry += u32::from(*digit) * 256;
                *digit = (carry % 10) as u8;
                carry /= 10;
            }
            while carry > 0 {
                digits.push((carry % 10) as u8);
                carry /= 10;
            }
        }
        let sign = if negative { "-" } else { "" };
        let digits: String = digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
        Some(Term::Integer(format!("{sign}{digits}")))
    }
}

#[cfg(test)]
mod tests {
    use settee_model::hash::term::Terms;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text =
            r#"{"a":[1,-5,300,255,1.5,null,true,false,"é",[],{},[1,2]],"b":-9223372036854775808}"#;
        let mut terms = Terms::new(0);
        terms.json(text.as_bytes());
        let value = Term::read(terms.bytes()).unwrap().to_json().unwrap();
        assert_eq!(value.to_string(), text);
    }

    #[test]
    fn strangers_bytes_do_no_harm() {
        for bytes in [
            &[][..],
            &[131],
            &[131, 108, 255, 255, 255, 255],
            &[131, 104, 200],
            &[131, 109, 255, 255, 255, 255, 1],
            &[131, 97, 1, 2],
            &[131, 107, 0, 5],
        ] {
            assert_eq!(Term::read(bytes), None, "{bytes:?}");
        }
        let deep: Vec<u8> = [131].into_iter().chain([104, 1].repeat(100_000)).collect();
        assert_eq!(Term::read(&deep), None);
    }
}
