//! The form of `state.json`: a version, a checksum, and named sections. Each part of the program has a section of its
//! own; one that this version does not know is kept as it is.
//!
//! ```json
//! {"version":2,"checksum":"xxh64:0123456789abcdef","sections":{"pools":…,"ledger":…}}
//! ```
//!
//! The checksum is XXH64 (seed 0) of the text of `sections`, byte for byte.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh64::xxh64;

/// The version of the form. Sections have versions of their own where they need one.
const VERSION: u32 = 2;
/// The version before there were sections: the engine's memory alone.
const FIRST: u32 = 1;
/// The section of the engine's memory.
pub const MEMORY: &str = "memory";

/// The sections of a file.
#[derive(Clone, Debug, Default)]
pub struct Document {
    sections: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Deserialize)]
struct Sealed<'a> {
    checksum: String,
    #[serde(borrow)]
    sections: &'a RawValue,
}

#[derive(Serialize)]
struct Seal<'a> {
    version: u32,
    checksum: String,
    sections: &'a RawValue,
}

#[derive(Deserialize)]
struct First {
    memory: Box<RawValue>,
}

fn checksum(text: &str) -> String {
    format!("xxh64:{:016x}", xxh64(text.as_bytes(), 0))
}

/// Writes something as a section's text.
pub fn section(value: &impl Serialize) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value)
}

impl Document {
    /// Reads a file's text. The error says why it cannot be used.
    pub fn read(text: &str) -> Result<Document, String> {
        // The version first: a later form need not have our fields.
        let header: Header = serde_json::from_str(text).map_err(|error| format!("it is no state file: {error}"))?;
        match header.version {
            VERSION => {
                let sealed: Sealed<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
                let found = checksum(sealed.sections.get());
                if found != sealed.checksum {
                    return Err(format!("its checksum is {found}, and {} is written in it", sealed.checksum));
                }
                let sections = serde_json::from_str(sealed.sections.get()).map_err(|error| error.to_string())?;
                Ok(Document { sections })
            }
            FIRST => {
                let first: First = serde_json::from_str(text).map_err(|error| error.to_string())?;
                Ok(Document { sections: BTreeMap::from([(MEMORY.to_owned(), first.memory)]) })
            }
            newer if newer > VERSION => {
                Err(format!("a newer dpmp wrote it: its version is {newer}, this one reads {VERSION}"))
            }
            other => Err(format!("its version is {other}, this dpmp reads {VERSION}")),
        }
    }

    /// A section, if it is there.
    ///
    /// # Errors
    /// When it is there and is not of this form.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.sections.get(name) else { return Ok(None) };
        serde_json::from_str(text.get()).map(Some).map_err(|error| format!("section {name}: {error}"))
    }

    /// Puts a section in the place of the one with its name.
    pub fn set(&mut self, name: &str, text: Box<RawValue>) {
        self.sections.insert(name.to_owned(), text);
    }

    /// Takes a section out.
    pub fn remove(&mut self, name: &str) {
        self.sections.remove(name);
    }

    /// The file's text.
    pub fn text(&self) -> serde_json::Result<Vec<u8>> {
        let sections = serde_json::value::to_raw_value(&self.sections)?;
        let seal = Seal { version: VERSION, checksum: checksum(sections.get()), sections: &sections };
        let mut text = serde_json::to_vec(&seal)?;
        text.push(b'\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_back_and_strangers_stay() {
        let mut document = Document::default();
        document.set("numbers", section(&vec![1u64, 2, 3]).unwrap());
        document.set("of a later version", section(&"kept").unwrap());
        let text = String::from_utf8(document.text().unwrap()).unwrap();
        let mut again = Document::read(&text).unwrap();
        assert_eq!(again.get::<Vec<u64>>("numbers").unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(again.get::<u64>("none").unwrap(), None);
        assert!(again.get::<u64>("numbers").unwrap_err().contains("numbers"));
        again.remove("numbers");
        let text = String::from_utf8(again.text().unwrap()).unwrap();
        assert!(text.contains("\"of a later version\":\"kept\"") && !text.contains("numbers"));
    }

    #[test]
    fn any_single_change_is_noticed() {
        let mut document = Document::default();
        document.set("numbers", section(&vec![1u64, 2, 3]).unwrap());
        let text = String::from_utf8(document.text().unwrap()).unwrap();
        for cut in 0..text.trim_end().len() {
            assert!(Document::read(&text[..cut]).is_err(), "cut at {cut}");
        }
        for at in text.find("[1").unwrap()..text.find("3]").unwrap() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(other) = String::from_utf8(bytes) {
                assert!(Document::read(&other).is_err(), "{other}");
            }
        }
        let newer = text.replace("\"version\":2", "\"version\":3");
        assert!(Document::read(&newer).unwrap_err().contains("newer"));
    }

    #[test]
    fn the_first_form_is_read() {
        let document = Document::read("{\n\"version\": 1,\n\"memory\": {\"pools\": []}\n}\n").unwrap();
        assert_eq!(document.get::<dpmp_core::Memory>(MEMORY).unwrap(), Some(dpmp_core::Memory::default()));
    }
}
