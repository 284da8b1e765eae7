//! The hashes that a block takes, from the target in its header.

/// Hashes that a block takes on average at this compact target. None for a target that is none.
pub(crate) fn hashes_per_block(nbits: u32) -> Option<u128> {
    let (size, mantissa) = (nbits >> 24, nbits & 0x00ff_ffff);
    if mantissa == 0 || mantissa & 0x0080_0000 != 0 || size > 32 {
        return None;
    }
    // 2^256 / (mantissa · 2^(8·(size − 3))).
    let bits = 256 - 8 * (i64::from(size) - 3);
    match u32::try_from(bits) {
        Ok(bits @ 0..=127) => Some(((1u128 << bits) / u128::from(mantissa)).max(1)),
        // A target this small is of no chain that there is.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_compact_targets() {
        // Difficulty 1 takes 2^32 hashes and a few; regtest takes two.
        assert_eq!(hashes_per_block(0x1d00_ffff), Some(4_295_032_833));
        assert_eq!(hashes_per_block(0x207f_ffff), Some(2));
        let btc = hashes_per_block(0x1702_1a91).expect("a target");
        assert!((btc as f64 / 5.746e23 - 1.0).abs() < 0.001, "{btc}");
        assert_eq!(hashes_per_block(0), None);
        assert_eq!(hashes_per_block(0x0100_0001), None);
        assert_eq!(hashes_per_block(0xff12_3456), None);
        assert_eq!(hashes_per_block(0x1d80_0000), None);
    }
}
