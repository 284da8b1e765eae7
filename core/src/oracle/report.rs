//! A server's answer, as DPMP v2 asks for it: JSON with `ok`, `ts`, `short_window`, `long_window`, and for `btc_` and `bch_`
//! `difficulty`, `ts_latest`, `ts_short`, `ts_long`.

use alloc::format;
use alloc::string::{String, ToString as _};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::balance::{HashRate, Interval, Reading};
use crate::difficulty::Difficulty;

/// The longest answer that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// An older answer is an error, in ms.
const STALE: u64 = 1_200_000;
/// A clock may be this much ahead, in ms.
const AHEAD: u64 = 300_000;

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When its numbers were made, in ms since 1970.
    pub(crate) made_ms: u64,
    /// BTC, then BCH.
    pub(crate) chains: [Reading; 2],
}

#[derive(Deserialize)]
struct Answer<'a> {
    ok: Option<Flag>,
    #[serde(borrow)]
    ts: Option<&'a str>,
    error: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    short_window: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    long_window: Option<u64>,
    #[serde(borrow)]
    btc_difficulty: Option<&'a serde_json::value::RawValue>,
    #[serde(default, deserialize_with = "whole")]
    btc_ts_latest: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    btc_ts_short: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    btc_ts_long: Option<u64>,
    #[serde(borrow)]
    bch_difficulty: Option<&'a serde_json::value::RawValue>,
    #[serde(default, deserialize_with = "whole")]
    bch_ts_latest: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    bch_ts_short: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    bch_ts_long: Option<u64>,
}

/// PHP says `1` as well as `true`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(u64),
}

/// PHP says `6`, `"6"` and `6.0` for the same number.
fn whole<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose {
        Whole(u64),
        Point(f64),
        Text(String),
    }
    let wrong = |text: &str| D::Error::custom(format!("{} is no whole number", cut(text)));
    // Below 2^53 each whole number is one of the floats.
    let point = |value: f64| {
        let fits = (0.0..9e15).contains(&value) && value as u64 as f64 == value;
        fits.then_some(value as u64)
    };
    match Option::<Loose>::deserialize(source)? {
        None => Ok(None),
        Some(Loose::Whole(value)) => Ok(Some(value)),
        Some(Loose::Point(value)) => point(value).map(Some).ok_or_else(|| wrong(&value.to_string())),
        Some(Loose::Text(text)) => {
            let digits = text.trim();
            let value = digits.parse().ok().or_else(|| digits.parse().ok().and_then(point));
            value.map(Some).ok_or_else(|| wrong(&text))
        }
    }
}

impl Report {
    /// Reads an answer.
    ///
    /// # Errors
    /// In words: what is missing, of the wrong type, or out of bounds.
    pub(crate) fn parse(body: &[u8], now_ms: u64) -> Result<Report, String> {
        if body.len() > MAX_BYTES {
            return Err(format!("the answer has {} bytes, more than {MAX_BYTES}", body.len()));
        }
        let text = core::str::from_utf8(body).map_err(|_| "the answer is not UTF-8 text".to_string())?;
        let answer: Answer<'_> =
            serde_json::from_str(text).map_err(|error| format!("the answer cannot be read: {error}"))?;
        match answer.ok {
            Some(Flag::Bool(true) | Flag::Number(1..)) => {}
            Some(_) => return Err(answer.error.map_or("the server says that it has no numbers".into(), |e| cut(&e))),
            None => return Err("`ok` is missing".into()),
        }
        let made_ms = answer.ts.ok_or("`ts` is missing").and_then(unix_millis)?;
        if made_ms + STALE < now_ms {
            return Err(format!("its numbers are {} minutes old, more than 20", (now_ms - made_ms) / 60_000));
        }
        if made_ms > now_ms + AHEAD {
            return Err(format!("its numbers are from {} minutes ahead", (made_ms - now_ms) / 60_000));
        }
        let (short, long) = (answer.short_window.unwrap_or(6), answer.long_window.unwrap_or(72));
        let windows = match [short, long].map(u32::try_from) {
            [Ok(short), Ok(long)] if 0 < short && short < long && long <= 100_000 => [short, long],
            _ => return Err(format!("windows of {short} and {long} blocks make no sense")),
        };
        let btc = reading(
            "btc",
            windows,
            answer.btc_difficulty,
            [answer.btc_ts_latest, answer.btc_ts_short, answer.btc_ts_long],
        )?;
        let bch = reading(
            "bch",
            windows,
            answer.bch_difficulty,
            [answer.bch_ts_latest, answer.bch_ts_short, answer.bch_ts_long],
        )?;
        Ok(Report { made_ms, chains: [btc, bch] })
    }
}

fn reading(
    chain: &str,
    windows: [u32; 2],
    difficulty: Option<&serde_json::value::RawValue>,
    times: [Option<u64>; 3],
) -> Result<Reading, String> {
    let raw = difficulty.ok_or_else(|| format!("`{chain}_difficulty` is missing"))?.get();
    let difficulty = Difficulty::parse(raw.trim_matches('"'));
    let difficulty = difficulty.ok_or_else(|| format!("`{chain}_difficulty` is no difficulty: {}", cut(raw)))?;
    // 2^32 hashes a unit, and 48 bits after the point in `Work`.
    let hashes = (difficulty.work().0 >> 16).max(1);
    let names = ["latest", "short", "long"];
    let mut at = [0u64; 3];
    for ((at, time), name) in at.iter_mut().zip(times).zip(names) {
        *at = time.ok_or_else(|| format!("`{chain}_ts_{name}` is missing"))?;
    }
    let rate = |window: u32, since: u64, name: &str| {
        let seconds = at[0].checked_sub(since).filter(|s| *s > 0 && *s < 100_000_000);
        let seconds = seconds.ok_or_else(|| format!("`{chain}_ts_{name}` is not before `{chain}_ts_latest`"))?;
        HashRate::of(hashes.saturating_mul(u128::from(window)), seconds * 1000).ok_or_else(String::new)
    };
    let (short, long) = (rate(windows[0], at[1], "short")?, rate(windows[1], at[2], "long")?);
    Ok(Reading {
        short,
        long,
        short_interval: Some(Interval::around(short, windows[0])),
        long_interval: Some(Interval::around(long, windows[1])),
    })
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// `YYYY-MM-DD HH:MM:SS`, UTC, in ms since 1970.
fn unix_millis(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "`ts` is no time like 2026-01-31 12:00:00";
    let bytes = text.as_bytes();
    if bytes.len() != 19 || bytes[4] != b'-' || bytes[7] != b'-' || !matches!(bytes[10], b' ' | b'T') {
        return Err(WRONG);
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse::<u64>().ok()).ok_or(WRONG)
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(WRONG);
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(WRONG);
    }
    // Days since 1970 in the civil calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        y / 400 * 146_097 + (y % 400) * 365 + (y % 400) / 4 - (y % 400) / 100 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Ok(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned as _;

    const GOOD: &str = r#"{"ok":true,"ts":"2026-01-31 12:00:00","short_window":6,"long_window":72,
        "btc_difficulty":146472570619930.8,"btc_ts_latest":1769860000,"btc_ts_short":1769856700,"btc_ts_long":1769816800,
        "bch_difficulty":"1000000","bch_ts_latest":1769860000,"bch_ts_short":1769856400,"bch_ts_long":1769816800,"more":[1]}"#;
    const NOW: u64 = 1_769_860_800_000;

    #[test]
    fn the_formula_of_v2() {
        let report = Report::parse(GOOD.as_bytes(), NOW).expect("a report");
        assert_eq!(report.made_ms, NOW);
        let [btc, bch] = report.chains;
        let long = 146_472_570_619_930.8 * 4_294_967_296.0 / (43_200.0 / 72.0);
        assert!((btc.long.as_f64() / long - 1.0).abs() < 1e-6);
        assert_eq!(btc.ratio_ppm(), 1_090_909, "600 s over 550 s");
        assert_eq!(bch.ratio_ppm(), 1_000_000);
    }

    #[test]
    fn numbers_may_be_strings_and_whole_floats() {
        let usual = Report::parse(GOOD.as_bytes(), NOW).expect("a report");
        let mut loose = GOOD.to_owned();
        for (strict, other) in [(":6,", ":\"6\","), (":72,", ":72.0,"), ("1769860000", "\"1769860000\"")] {
            loose = loose.replace(strict, other);
        }
        loose = loose.replace("1769856700", "1769856700.0").replace("1769856400", "\" 1769856400.0 \"");
        assert_eq!(Report::parse(loose.as_bytes(), NOW), Ok(usual), "{loose}");
        for bad in ["6.5", "-6", "\"\"", "true", "[6]", "\"6 blocks\"", "1e300"] {
            let text = GOOD.replace("\"short_window\":6", &format!("\"short_window\":{bad}"));
            assert!(Report::parse(text.as_bytes(), NOW).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |from: &str, to: &str| Report::parse(GOOD.replace(from, to).as_bytes(), NOW).expect_err("bad");
        assert_eq!(with("\"ok\":true", "\"ok\":false"), "the server says that it has no numbers");
        assert_eq!(with("\"ok\":true", "\"ok\":0,\"error\":\"node is syncing\""), "node is syncing");
        assert_eq!(with("\"ok\":true,", ""), "`ok` is missing");
        assert_eq!(with("12:00:00", "11:30:00"), "its numbers are 30 minutes old, more than 20");
        assert!(with("12:00:00", "13:00:00").contains("ahead"));
        assert!(with("2026-01-31 12:00:00", "yesterday").contains("no time"));
        assert_eq!(with("\"bch_ts_long\":1769816800,", ""), "`bch_ts_long` is missing");
        assert_eq!(with("146472570619930.8", "\"many\""), "`btc_difficulty` is no difficulty: \"many\"");
        assert!(with("\"btc_ts_short\":1769856700", "\"btc_ts_short\":1769860000").contains("not before"));
        assert!(with("\"short_window\":6", "\"short_window\":0").contains("no sense"));
        assert!(with("\"short_window\":6", "\"short_window\":\"six\"").contains("cannot be read"));
        assert!(Report::parse(b"<html>", NOW).expect_err("no JSON").contains("cannot be read"));
        assert!(Report::parse(&[0xff; 10], NOW).expect_err("no text").contains("UTF-8"));
        assert!(Report::parse(&[b' '; MAX_BYTES + 1], NOW).expect_err("huge").contains("more than"));
        let text = GOOD.to_owned();
        (0..text.len()).for_each(|n| drop(Report::parse(&text.as_bytes()[..n], NOW)));
    }

    #[test]
    fn times() {
        assert_eq!(unix_millis("1970-01-01 00:00:00"), Ok(0));
        assert_eq!(unix_millis("2000-02-29T23:59:59"), Ok(951_868_799_000));
        assert_eq!(unix_millis("2024-12-31 00:00:01"), Ok(1_735_603_201_000));
        assert!(unix_millis("2024-13-01 00:00:00").is_err());
        assert!(unix_millis("2024-1é-01 00:00:0").is_err());
    }
}
