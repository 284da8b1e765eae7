//! A decimal number of the file, read without floating point. It is bounded: what lies beyond counts as the bound.

/// A number in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decimal(i128);

const ONE: i128 = 1_000_000_000;
const PLACES: i32 = 9;
/// 10^21 in billionths: no weight or time is larger.
const MOST: i128 = 1_000_000_000_000_000_000_000_000_000_000;

impl Decimal {
    pub(super) const ONE: Decimal = Decimal(ONE);
    pub(super) const ZERO: Decimal = Decimal(0);

    /// Reads what JSON and Python write: sign, digits with single underscores between, fraction, exponent, space around.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let mut value: i128 = 0;
        let mut places: i32 = 0;
        let places_of =
            |in_fraction: bool, kept: bool| i32::from(in_fraction && kept) - i32::from(!in_fraction && !kept);
        let all = whole.bytes().map(|b| (false, b)).chain(fraction.bytes().map(|b| (true, b)));
        for (in_fraction, digit) in all.filter(|(_, b)| *b != b'_') {
            let kept = value < MOST;
            if kept {
                value = value * 10 + i128::from(digit - b'0');
            }
            places += places_of(in_fraction, kept);
        }
        let value = scaled(value, exponent.saturating_sub(places).saturating_add(PLACES));
        Some(Decimal(if negative { -value } else { value }))
    }

    pub(super) fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// In billionths, 0 if negative.
    pub(super) fn billionths(self) -> u128 {
        self.0.max(0) as u128
    }

    /// Without its fraction, as Python's `int` does.
    pub(super) fn whole(self) -> i64 {
        let whole = self.0 / ONE;
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    pub(super) fn is_whole(self) -> bool {
        self.0 % ONE == 0
    }
}

/// `value × 10^power`, at most [`MOST`]; a value above 0 stays above 0.
fn scaled(mut value: i128, mut power: i32) -> i128 {
    if value == 0 {
        return 0;
    }
    while power > 0 && value < MOST {
        value *= 10;
        power -= 1;
    }
    while power < 0 && value > 1 {
        value /= 10;
        power += 1;
    }
    value.clamp(1, MOST)
}

/// Only digits, and underscores between digits. Empty is fine.
fn digits(text: &str) -> bool {
    let mut before = b'_';
    for b in text.bytes() {
        if !(b.is_ascii_digit() || b == b'_' && before != b'_') {
            return false;
        }
        before = b;
    }
    text.is_empty() || before != b'_'
}

fn read_exponent(text: &str) -> Option<i32> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = text.parse::<i32>().unwrap_or(i32::MAX / 4).min(i32::MAX / 4);
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_and_python_write() {
        for (text, billionths) in [
            ("0", 0),
            ("-0.0", 0),
            (" 3333 ", 3_333_000_000_000),
            ("+7", 7_000_000_000),
            ("1_000", 1_000_000_000_000),
            ("33.3", 33_300_000_000),
            ("1e2", 100_000_000_000),
            ("2.5E-1", 250_000_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("1e-99999999999", 1),
            ("1e99999999999", MOST),
            ("-1e99999999999", -MOST),
            ("123456789012345678901234567890123456789012345", MOST),
            ("0.000000000000000000000000000000000000000000001", 1),
        ] {
            assert_eq!(Decimal::parse(text).map(|d| d.0), Some(billionths), "{text}");
        }
        for text in
            ["", " ", "-", ".", "1__0", "_1", "1_", "0x10", "1e", "1e+", "nan", "inf", "1 2", "50%", "--1", "1e1.5"]
        {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn whole_cuts_as_python_does() {
        assert_eq!(Decimal::parse("30.9").unwrap().whole(), 30);
        assert_eq!(Decimal::parse("-30.9").unwrap().whole(), -30);
        assert_eq!(Decimal::parse("1e30").unwrap().whole(), i64::MAX);
        assert!(Decimal::parse("3e1").unwrap().is_whole());
        assert!(!Decimal::parse("3.5").unwrap().is_whole());
    }
}
