//! Reads a coinbase as a pool's job makes it: the height in its script, and what its outputs pay. The bytes are a pool's:
//! whatever they are, nothing here panics.

/// Heights above this are taken for something else: blocks before BIP 34 have other things in this place.
const HIGHEST: u64 = 100_000_000;
/// Most outputs that are looked at.
const MOST_OUTPUTS: u64 = 10_000;

/// Bytes that are read from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn little_endian(&mut self, n: usize) -> Option<u64> {
        Some(self.take(n)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number in Bitcoin's variable form.
    fn number(&mut self) -> Option<u64> {
        match self.little_endian(1)? {
            0xFD => self.little_endian(2),
            0xFE => self.little_endian(4),
            0xFF => self.little_endian(8),
            small => Some(small),
        }
    }

    /// Bytes with their number in front.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.number()?;
        self.take(usize::try_from(n).ok()?)
    }
}

/// One output of a coinbase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// What it pays, in the chain's smallest unit.
    pub satoshis: u64,
    /// Whom it pays.
    pub script: &'a [u8],
}

/// A coinbase's parts.
#[derive(Clone, Debug)]
pub struct Coinbase<'a> {
    /// The input's script: height, what the pool likes, extranonces.
    pub script: &'a [u8],
    count: u64,
    outputs: &'a [u8],
}

impl<'a> Coinbase<'a> {
    /// Reads a coinbase, with or without the marker of a witness. None if its input or its outputs are cut.
    pub fn read(bytes: &'a [u8]) -> Option<Coinbase<'a>> {
        let mut at = Cursor(bytes);
        at.take(4)?;
        if at.0.first() == Some(&0) {
            // Marker and flag of a witness.
            at.take(2)?;
        }
        if at.number()? != 1 {
            return None;
        }
        at.take(36)?;
        let script = at.bytes()?;
        at.take(4)?;
        let count = at.number()?.min(MOST_OUTPUTS);
        let coinbase = Coinbase { script, count, outputs: at.0 };
        (coinbase.outputs().count() as u64 == count).then_some(coinbase)
    }

    /// What it pays to whom.
    pub fn outputs(&self) -> impl Iterator<Item = Output<'a>> + use<'a> {
        let mut at = Cursor(self.outputs);
        (0..self.count).map_while(move |_| {
            let satoshis = at.little_endian(8)?;
            Some(Output { satoshis, script: at.bytes()? })
        })
    }

    /// The block's height (BIP 34): the first thing that the script pushes.
    pub fn height(&self) -> Option<u32> {
        let mut at = Cursor(self.script);
        let height = match at.little_endian(1)? {
            0x00 => 0,
            small @ 0x51..=0x60 => small - 0x50,
            n @ 1..=5 => at.little_endian(n as usize)?,
            _ => return None,
        };
        (height <= HIGHEST).then_some(height as u32)
    }
}

/// The block's height as a coinbase tells it.
pub fn height(coinbase: &[u8]) -> Option<u32> {
    Coinbase::read(coinbase)?.height()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A coinbase with this script and these outputs.
    fn coinbase(script: &[u8], outputs: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = [&[1, 0, 0, 0, 1][..], &[0; 32], &[0xFF; 4], &[script.len() as u8], script, &[0xFF; 4]].concat();
        out.push(outputs.len() as u8);
        for (satoshis, script) in outputs {
            out.extend(satoshis.to_le_bytes());
            out.push(script.len() as u8);
            out.extend_from_slice(script);
        }
        out.extend([0; 4]);
        out
    }

    #[test]
    fn heights() {
        for (script, height) in [
            (&[3, 0xa0, 0x86, 0x01][..], Some(100_000)),
            (&[3, 0x40, 0xd1, 0x0d, 4, 1, 2, 3, 4], Some(905_536)),
            (&[0x51, 0], Some(1)),
            (&[0x60], Some(16)),
            (&[0x00, 1], Some(0)),
            (&[1, 17], Some(17)),
            (&[2, 0xff, 0x00], Some(255)),
            (&[4, 0xff, 0xff, 0x00, 0x1d], None),
            (&[3, 1], None),
            (&[], None),
            (&[0x4c, 3], None),
        ] {
            assert_eq!(super::height(&coinbase(script, &[])), height, "{script:?}");
        }
    }

    #[test]
    fn outputs_and_cuts() {
        let whole = coinbase(&[1, 17], &[(5_000, b"abc"), (0, b""), (7, b"x")]);
        let outputs: Vec<_> = Coinbase::read(&whole).unwrap().outputs().map(|o| (o.satoshis, o.script.len())).collect();
        assert_eq!(outputs, [(5_000, 3), (0, 0), (7, 1)]);
        for cut in 0..whole.len() - 4 {
            assert!(Coinbase::read(&whole[..cut]).is_none(), "cut at {cut}");
        }
        let mut witness = whole.clone();
        witness.splice(4..4, [0, 1]);
        assert_eq!(Coinbase::read(&witness).unwrap().outputs().count(), 3);
        // Lengths and counts beyond the end, in every form.
        for at in 0..whole.len() {
            for byte in [0xFD, 0xFE, 0xFF] {
                let mut odd = whole.clone();
                odd[at] = byte;
                let _ = Coinbase::read(&odd).map(|c| (c.height(), c.outputs().count()));
            }
        }
    }
}
