//! The smallest unit of a recording: kind, length, body, check sum. Knows no meaning of any kind but its longest body.

use alloc::vec::Vec;

/// The version of the format. Raised by every change after which older programs would read something wrong.
pub const FORMAT_VERSION: u16 = 2;

/// How each segment begins. No frame begins with its first byte, and no text contains it.
pub const MAGIC: [u8; 8] = [0xD7, b'd', b'p', b'm', b'p', b't', b'r', 0x0A];

/// Longest checkpoint that is read, in bytes, folded or not.
pub const LONGEST_CHECKPOINT: u32 = 1 << 29;
/// Longest record that is read, in bytes. A read of the driver is 16 KiB; a config is at most 1 MiB.
pub const LONGEST_RECORD: u32 = 4 << 20;
/// Longest start that is read, in bytes: config and memory.
const LONGEST_START: u32 = 64 << 20;
const LONGEST_HEADER: u32 = 1024;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Checkpoint = 2,
    Event = 3,
    /// The step sent something: the rolling digest after it.
    Sent = 4,
    /// The step sent nothing: the digest is as it was.
    Quiet = 5,
    /// Redacted only: the hashes of the headers that the next event's step checks.
    Hashes = 6,
    End = 7,
    /// In place of a checkpoint: what the engine was made of.
    Start = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Header,
            2 => Kind::Checkpoint,
            3 => Kind::Event,
            4 => Kind::Sent,
            5 => Kind::Quiet,
            6 => Kind::Hashes,
            7 => Kind::End,
            8 => Kind::Start,
            _ => return None,
        })
    }

    /// Longest body that is read.
    const fn longest(self) -> u32 {
        match self {
            Kind::Header => LONGEST_HEADER,
            Kind::Checkpoint => LONGEST_CHECKPOINT,
            Kind::Start => LONGEST_START,
            Kind::Event | Kind::Hashes => LONGEST_RECORD,
            Kind::Sent => 8,
            Kind::Quiet => 0,
            Kind::End => 1,
        }
    }
}

/// What is wrong with the bytes at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They end in the middle of something.
    #[error("it ends in the middle of a record")]
    CutShort,
    /// The check sum does not match.
    #[error("a check sum is wrong")]
    CheckSum,
    /// Nothing known begins like this.
    #[error("something unknown stands where a record should begin")]
    UnknownKind,
    /// A length is above its limit.
    #[error("a length is above its limit")]
    TooLong,
    /// A record stands where it cannot.
    #[error("a record stands where none of its kind can")]
    OutOfOrder,
    /// The check sum is right, but this version cannot read what it covers.
    #[error("a record cannot be read by this version")]
    Unreadable,
    /// The format is of another version.
    #[error("the format has version {0}, this program reads version {expected}", expected = FORMAT_VERSION)]
    Version(u16),
}

/// Appends a number in seven-bit groups, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 & 0x7F | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a number in seven-bit groups; `input` is moved behind it. None if it ends too early or is above 64 bits.
pub(super) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        let group = u64::from(byte & 0x7F);
        if shift == 63 && group > 1 {
            return None;
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Bytes that a length takes where it stands before its body: always as many, so that the body is written in place.
const LENGTH: usize = 4;

/// Appends a frame whose body is what `write` appends.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(kind as u8);
    out.extend_from_slice(&[0; LENGTH]);
    let body = out.len();
    write(out);
    // A body is far below 4 GiB: the engine's limits bound what it holds.
    let length = (out.len() - body) as u32;
    out[start + 1..body].copy_from_slice(&length.to_le_bytes());
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Bytes that [`take`] sums up before it can say that a sum is wrong; 0 if it need not.
pub(super) fn summed(input: &[u8]) -> u64 {
    let claimed = || {
        let (kind, rest) = input.split_first()?;
        let kind = Kind::of(*kind)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
        let length = u32::from_le_bytes(*length);
        (length <= kind.longest() && length as usize <= rest.len()).then_some(u64::from(length))
    };
    claimed().unwrap_or(0)
}

/// Takes the frame that `input` begins with; `input` is moved behind it. On a fault it stays where it is.
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Result<(Kind, &'a [u8]), Fault> {
    let (kind, rest) = input.split_first().ok_or(Fault::CutShort)?;
    let kind = Kind::of(*kind).ok_or(Fault::UnknownKind)?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(Fault::CutShort)?;
    let length = u32::from_le_bytes(*length);
    if length > kind.longest() {
        return Err(Fault::TooLong);
    }
    let (body, rest) = rest.split_at_checked(length as usize).ok_or(Fault::CutShort)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(Fault::CutShort)?;
    let covered = &input[..1 + LENGTH + body.len()];
    if crc32fast::hash(covered) != u32::from_le_bytes(*sum) {
        return Err(Fault::CheckSum);
    }
    *input = rest;
    Ok((kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length() {
        for value in (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, u64::MAX >> bit]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            for cut in 0..bytes.len() {
                assert_eq!(take_varint(&mut &bytes[..cut]), None);
            }
            let mut input = bytes.as_slice();
            assert_eq!(take_varint(&mut input), Some(value));
            assert!(input.is_empty());
        }
        assert_eq!(take_varint(&mut [0xFF; 12].as_slice()), None, "above 64 bits");
    }

    #[test]
    fn every_changed_bit_of_a_frame_is_found() {
        let mut bytes = Vec::new();
        put(&mut bytes, Kind::Event, |out| out.extend_from_slice(b"an event"));
        assert_eq!(bytes.len(), 1 + LENGTH + 8 + 4);
        assert_eq!(take(&mut bytes.as_slice()), Ok((Kind::Event, b"an event".as_slice())));
        for at in 0..bytes.len() {
            assert!(take(&mut &bytes[..at]).is_err());
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(take(&mut changed.as_slice()).is_err(), "byte {at} bit {bit}");
            }
        }
    }
}
