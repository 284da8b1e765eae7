//! Block headers from the parts of a job, and their SHA-256d hash: whole, or by a midstate for the search of nonces.
//! Shares no code with the engine, so that a mistake cannot agree with itself.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// SHA-256 of the SHA-256.
pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    let first = Sha256::digest(bytes);
    Sha256::digest(first).into()
}

/// The coinbase as it is hashed.
pub fn coinbase(coinb1: &[u8], extranonce1: &[u8], extranonce2: &[u8], coinb2: &[u8]) -> Vec<u8> {
    [coinb1, extranonce1, extranonce2, coinb2].concat()
}

/// The coinbase's hash folded with the merkle branches in order.
pub fn merkle_root(coinbase: &[u8], branches: &[[u8; 32]]) -> [u8; 32] {
    let mut root = sha256d(coinbase);
    for branch in branches {
        let mut pair = [0; 64];
        pair[..32].copy_from_slice(&root);
        pair[32..].copy_from_slice(branch);
        root = sha256d(&pair);
    }
    root
}

/// Between the order of bytes in `mining.notify` and that in the header: each four-byte word is reversed.
pub fn swap_words(prevhash: [u8; 32]) -> [u8; 32] {
    let mut swapped = prevhash;
    for word in swapped.chunks_mut(4) {
        word.reverse();
    }
    swapped
}

/// The six fields of a header. `prevhash` and `root` are in the header's own order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// With version bits applied.
    pub version: u32,
    /// As it stands in the header.
    pub prevhash: [u8; 32],
    /// The merkle root.
    pub root: [u8; 32],
    /// Seconds since 1970.
    pub ntime: u32,
    /// The network's target in compact form.
    pub nbits: u32,
    /// What miners search.
    pub nonce: u32,
}

impl Header {
    /// The 80 bytes that are hashed.
    pub fn bytes(&self) -> [u8; 80] {
        let mut out = [0; 80];
        out[0..4].copy_from_slice(&self.version.to_le_bytes());
        out[4..36].copy_from_slice(&self.prevhash);
        out[36..68].copy_from_slice(&self.root);
        out[68..72].copy_from_slice(&self.ntime.to_le_bytes());
        out[72..76].copy_from_slice(&self.nbits.to_le_bytes());
        out[76..80].copy_from_slice(&self.nonce.to_le_bytes());
        out
    }

    /// The hash of the 80 bytes, least significant byte first.
    pub fn hash(&self) -> [u8; 32] {
        sha256d(&self.bytes())
    }
}

const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// A header with its first 64 bytes hashed in advance: two compressions a nonce instead of three, and no copying.
#[derive(Clone, Debug)]
pub struct Midstate {
    state: [u32; 8],
    tail: [[u8; 64]; 1],
    second: [[u8; 64]; 1],
}

impl Midstate {
    /// Prepares the search over the nonces of `header`.
    pub fn new(header: &Header) -> Midstate {
        let bytes = header.bytes();
        let mut first = [[0; 64]];
        first[0].copy_from_slice(&bytes[..64]);
        let mut state = INITIAL;
        compress256(&mut state, &first);
        let mut tail = [[0; 64]];
        tail[0][..16].copy_from_slice(&bytes[64..]);
        tail[0][16] = 0x80;
        tail[0][56..].copy_from_slice(&(80u64 * 8).to_be_bytes());
        let mut second = [[0; 64]];
        second[0][32] = 0x80;
        second[0][56..].copy_from_slice(&(32u64 * 8).to_be_bytes());
        Midstate { state, tail, second }
    }

    /// The hash with this nonce, as big-endian words: the last word's bytes are the most significant of the number.
    pub fn words(&mut self, nonce: u32) -> [u32; 8] {
        self.tail[0][12..16].copy_from_slice(&nonce.to_le_bytes());
        let mut inner = self.state;
        compress256(&mut inner, &self.tail);
        for (bytes, word) in self.second[0].chunks_mut(4).zip(inner) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        let mut outer = INITIAL;
        compress256(&mut outer, &self.second);
        outer
    }

    /// The hash of [`words`](Midstate::words) as bytes, least significant first.
    pub fn to_bytes(words: [u32; 8]) -> [u8; 32] {
        let mut out = [0; 32];
        for (bytes, word) in out.chunks_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    fn genesis() -> Header {
        let coinb1 =
            hex::decode("01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d")
                .unwrap();
        let script = hex::decode("04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73").unwrap();
        let coinb2 = hex::decode("ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000").unwrap();
        let (en1, en2) = script.split_at(4);
        let root = merkle_root(&coinbase(&coinb1, en1, en2, &coinb2), &[]);
        Header { version: 1, prevhash: [0; 32], root, ntime: 1_231_006_505, nbits: 0x1d00ffff, nonce: 2_083_236_893 }
    }

    #[test]
    fn genesis_block() {
        let mut hash = genesis().hash();
        hash.reverse();
        assert_eq!(hex::encode(&hash), "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
    }

    #[test]
    fn block_125552() {
        let bytes = |text| {
            let mut b: [u8; 32] = hex::decode_array(text).unwrap();
            b.reverse();
            b
        };
        let header = Header {
            version: 1,
            prevhash: bytes("00000000000008a3a41b85b8b29ad444def299fee21793cd8b9e567eab02cd81"),
            root: bytes("2b12fcf1b09288fcaff797d71e950e71ae42b91e8bdb2304758dfcffc2b620e3"),
            ntime: 0x4dd7f5c7,
            nbits: 0x1a44b9f2,
            nonce: 0x9546a142,
        };
        assert_eq!(header.hash(), bytes("00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d"));
    }

    #[test]
    fn merkle_of_block_170() {
        // Two transactions: the coinbase and the first payment ever.
        let reversed = |text| {
            let mut b: [u8; 32] = hex::decode_array(text).unwrap();
            b.reverse();
            b
        };
        let mut pair = [0; 64];
        pair[..32].copy_from_slice(&reversed("b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082"));
        pair[32..].copy_from_slice(&reversed("f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"));
        assert_eq!(sha256d(&pair), reversed("7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff"));
    }

    #[test]
    fn midstate_agrees() {
        let mut header = genesis();
        let mut midstate = Midstate::new(&header);
        for nonce in [0, 1, 77, u32::MAX, header.nonce] {
            header.nonce = nonce;
            assert_eq!(Midstate::to_bytes(midstate.words(nonce)), header.hash());
        }
    }

    #[test]
    fn words_swap_twice_to_the_same() {
        let bytes: [u8; 32] = core::array::from_fn(|i| i as u8);
        assert_eq!(swap_words(bytes)[..8], [3, 2, 1, 0, 7, 6, 5, 4]);
        assert_eq!(swap_words(swap_words(bytes)), bytes);
    }
}
