//! One line of JSON taken apart without copying: id, method, params, result, error.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A line as it stands; fields that are missing and fields that are `null` are none.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "reject-reason")]
    pub(crate) reject_reason: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Reads one line. The error is for people.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Line<'a>, String> {
        if line.first() != Some(&b'{') {
            return Err("not a Stratum line: no JSON object".into());
        }
        serde_json::from_slice(line).map_err(|error| alloc::format!("not a Stratum line: {error}"))
    }
}

/// The text of a JSON string, or of a number or word that stands where a string should.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match json.as_bytes().first()? {
        b'"' => {
            let inner = json.get(1..json.len() - 1)?;
            if inner.contains('\\') {
                serde_json::from_str(json).ok().map(Cow::Owned)
            } else {
                Some(Cow::Borrowed(inner))
            }
        }
        b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(json)),
    }
}

/// Most elements of a params list that are looked at.
const MOST_PARAMS: usize = 10;

/// The elements of a params list; more than a message can have are passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Params<'a> {
    items: [Option<&'a RawValue>; MOST_PARAMS],
    len: usize,
}

impl<'a> Params<'a> {
    /// None when `raw` is something else than a list. A missing one is an empty list.
    pub(crate) fn parse(raw: Option<&'a RawValue>) -> Option<Params<'a>> {
        match raw {
            None => Some(Params::default()),
            Some(raw) => serde_json::from_str(raw.get()).ok(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, i: usize) -> Option<&'a RawValue> {
        self.items.get(i).copied().flatten()
    }

    pub(crate) fn text(&self, i: usize) -> Option<Cow<'a, str>> {
        self.get(i).filter(|raw| raw.get() != "null").and_then(text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seq;
        impl<'de> Visitor<'de> for Seq {
            type Value = Params<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of params")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Params<'de>, A::Error> {
                let mut params = Params::default();
                while params.len < MOST_PARAMS {
                    match seq.next_element::<&'de RawValue>()? {
                        Some(raw) => params.items[params.len] = Some(raw),
                        None => return Ok(params),
                    }
                    params.len += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(params)
            }
        }
        deserializer.deserialize_seq(Seq)
    }
}

/// The id of a miner's request, to be echoed with its own JSON type and spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestId {
    /// A whole number in its plain spelling: nearly all of them. No allocation.
    Number(u64),
    /// `null`, or none at all.
    Null,
    /// Anything else, as it was written.
    Other(Box<str>),
}

impl RequestId {
    pub(crate) fn of(raw: Option<&RawValue>) -> RequestId {
        let Some(raw) = raw else { return RequestId::Null };
        let json = raw.get();
        let plain = json == "0" || (!json.starts_with('0') && json.bytes().all(|b| b.is_ascii_digit()));
        match json.parse() {
            Ok(n) if plain => RequestId::Number(n),
            _ => RequestId::Other(json.into()),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestId::Number(n) => write!(f, "{n}"),
            RequestId::Null => f.write_str("null"),
            RequestId::Other(json) => f.write_str(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ids_keep_their_type() {
        for id in ["1", "0", "18446744073709551615", "-1", "\"auth\"", "null", "1.0", "01e3", "[1]", "\"4\""] {
            let line = alloc::format!("{{\"id\":{id},\"method\":\"m\"}}");
            let shown = Line::parse(line.as_bytes()).map(|l| RequestId::of(l.id).to_string());
            if id == "01e3" {
                assert!(shown.is_err());
            } else {
                assert_eq!(shown.unwrap(), id);
            }
        }
        assert_eq!(RequestId::of(Line::parse(b"{}").unwrap().id), RequestId::Null);
    }

    #[test]
    fn params_of_any_length() {
        let line = Line::parse(br#"{"params":["a","b\n",3,null,{},[1],7,8,9,10,11,12],"id":1}"#).unwrap();
        let params = Params::parse(line.params).unwrap();
        assert_eq!(params.len(), 10);
        assert_eq!(params.text(0).unwrap(), "a");
        assert_eq!(params.text(1).unwrap(), "b\n");
        assert_eq!(params.text(2).unwrap(), "3");
        assert_eq!(params.text(3), None);
        assert_eq!(params.text(4), None);
        assert!(Params::parse(Line::parse(br#"{"params":{}}"#).unwrap().params).is_none());
        assert_eq!(Params::parse(None).unwrap().len(), 0);
    }
}
