//! Bitcoin Cash's address form: `bitcoincash:q...`, a type, a size and a hash, with forty bits of check sum.

use super::bech32::{regroup, single_error, values};

const CHECK_SUM: usize = 8;

/// What a hash is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Key,
    Script,
}

/// A hash of 20 bytes, or of 32 for newer scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) of: Of,
    pub(super) hash: alloc::vec::Vec<u8>,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A character that is none of the 32, or of the other case, at this place of the data.
    Character(usize),
    /// Too short or too long, or of a type that is not known.
    Form,
    CheckSum,
}

fn step(sum: u64, value: u8) -> u64 {
    const CONSTANTS: [u64; 5] = [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470];
    let top = sum >> 35;
    let mut sum = (sum & 0x07_FFFF_FFFF) << 5 ^ u64::from(value);
    for (bit, constant) in CONSTANTS.iter().enumerate() {
        if top >> bit & 1 == 1 {
            sum ^= constant;
        }
    }
    sum
}

fn fits(prefix: &str, data: &[u8]) -> bool {
    let sum = prefix.bytes().fold(1, |sum, c| step(sum, c & 31));
    data.iter().fold(step(sum, 0), |sum, value| step(sum, *value)) == 1
}

/// Reads what stands behind the colon. `prefix` is in lower case.
pub(super) fn decode(prefix: &str, data: &str) -> Result<Decoded, Wrong> {
    let data = values(data).map_err(Wrong::Character)?;
    if data.len() <= CHECK_SUM || data.len() > 112 {
        return Err(Wrong::Form);
    }
    if !fits(prefix, &data) {
        return Err(Wrong::CheckSum);
    }
    let bytes = regroup(&data[..data.len() - CHECK_SUM]).ok_or(Wrong::Form)?;
    let (version, hash) = bytes.split_first().ok_or(Wrong::Form)?;
    // Types 2 and 3 are those of wallets that understand tokens: the same scripts.
    let of = match version >> 3 {
        0 | 2 => Of::Key,
        1 | 3 => Of::Script,
        _ => return Err(Wrong::Form),
    };
    match (of, version & 7, hash.len()) {
        (_, 0, 20) | (Of::Script, 3, 32) => Ok(Decoded { of, hash: hash.to_vec() }),
        _ => Err(Wrong::Form),
    }
}

/// The one place of the data at which another character would make the check sum fit.
pub(super) fn typo(prefix: &str, data: &str) -> Option<usize> {
    single_error(&values(data).ok()?, |data| fits(prefix, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_specification() {
        let prefix = "bitcoincash";
        let key = decode(prefix, "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a").unwrap();
        assert_eq!((key.of, key.hash[..4].to_vec()), (Of::Key, [0x76, 0xa0, 0x40, 0x53].to_vec()));
        let script = decode(prefix, "ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq").unwrap();
        assert_eq!((script.of, script.hash), (Of::Script, key.hash));
        assert_eq!(decode(prefix, "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6b"), Err(Wrong::Character(41)));
        assert_eq!(decode(prefix, "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx66"), Err(Wrong::CheckSum));
        assert_eq!(decode("bchtest", "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"), Err(Wrong::CheckSum));
        assert_eq!(typo(prefix, "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx66"), Some(41));
    }
}
