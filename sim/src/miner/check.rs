//! What a simulated miner demands of the lines it gets (STRATUM.md §2), as far as one message shows it.

use serde_json::Value;

use super::work::Job;
use crate::header::swap_words;
use crate::hex;

/// The parts of a `mining.notify`, or what is wrong with it.
pub(super) fn job(params: &[Value]) -> Result<(Job, bool), String> {
    if params.len() != 9 {
        return Err(format!("notify with {} parameters", params.len()));
    }
    let text = |i: usize| params[i].as_str().ok_or_else(|| format!("notify: parameter {i} is no string"));
    let bytes = |i: usize| hex::decode(text(i)?).ok_or_else(|| format!("notify: parameter {i} is no hex"));
    let number = |i: usize| {
        let digits = text(i)?;
        let number = hex::number(digits).filter(|_| digits.len() == 8);
        number.ok_or_else(|| format!("notify: parameter {i} is not 8 hex digits: {digits}"))
    };
    let prevhash: [u8; 32] = hex::decode_array(text(1)?).ok_or("notify: prevhash is not 32 bytes")?;
    let branches = params[4].as_array().ok_or("notify: the branches are no list")?;
    if branches.len() > 32 {
        return Err(format!("notify: {} branches, more than 32", branches.len()));
    }
    let branches: Option<Vec<[u8; 32]>> = branches.iter().map(|b| b.as_str().and_then(hex::decode_array)).collect();
    let job = Job {
        id: text(0)?.to_owned(),
        prevhash: swap_words(prevhash),
        coinb1: bytes(2)?,
        coinb2: bytes(3)?,
        branches: branches.ok_or("notify: a branch is not 32 bytes of hex")?,
        version: number(5)?,
        nbits: number(6)?,
        ntime: number(7)?,
        extranonce1: Vec::new(),
        extranonce2_bytes: 0,
        difficulty: 0.0,
        mask: None,
        clean: false,
        counter: 0,
        works: 0,
        work: None,
    };
    Ok((job, params[8].as_bool().ok_or("notify: clean_jobs is no boolean")?))
}

/// A difficulty as all firmwares read it: an integer literal from 1 on, a fraction only below 1.
pub(super) fn difficulty(params: &[Value]) -> Result<f64, String> {
    let [value] = params else { return Err(format!("set_difficulty with {} parameters", params.len())) };
    let number = value.as_f64().ok_or_else(|| format!("set_difficulty: {value} is no number"))?;
    match value.is_u64() {
        true if number >= 1.0 => Ok(number),
        false if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err(format!("set_difficulty: {value} is neither an integer from 1 on nor a fraction below 1")),
    }
}

/// What is wrong with a job id; `seen` are the earlier ones of the session, oldest first.
pub(super) fn job_id(id: &str, seen: &[String], crc: bool) -> Option<String> {
    if id.len() != 8 || !id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Some(format!("job id {id:?} is not 8 lowercase hex digits"));
    }
    if seen.iter().any(|old| old == id) {
        return Some(format!("job id {id} was used before in this session"));
    }
    let clash = seen.iter().rev().take(8).find(|old| crc16(old) == crc16(id)).filter(|_| crc);
    clash.map(|old| format!("job ids {old} and {id} have the same CRC-16"))
}

/// CRC-16/CCITT. Whether two texts of equal length clash does not depend on its start value.
fn crc16(text: &str) -> u16 {
    text.bytes().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 })
    })
}

/// What is wrong with a notification as text.
pub(super) fn notification(line: &str, message: &Value, method: &str) -> Option<String> {
    if message.get("jsonrpc").is_some() {
        return Some(format!("{method} with a jsonrpc key"));
    }
    // A ping or get_version is a request: it may have an id.
    let asks = matches!(method, "mining.ping" | "client.get_version");
    if !asks && !line.starts_with("{\"id\":null,\"method\":\"") {
        return Some(format!("{method}: the keys are not id null, method, params: {line:.80}"));
    }
    None
}

/// What is wrong with the shape of a reply.
pub(super) fn reply(message: &Value) -> Option<String> {
    let (result, error) = (message.get("result"), message.get("error"));
    match (result, error) {
        (_, None) => Some("a reply without the key error".into()),
        (None, _) => Some("a reply without the key result".into()),
        (Some(_), Some(Value::Null)) => None,
        (Some(Value::Null), Some(Value::Array(e)))
            if e.len() == 3 && e[0].is_i64() && e[1].is_string() && e[2].is_null() =>
        {
            None
        }
        (Some(result), Some(error)) => Some(format!("a refusal of odd shape: result {result}, error {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn difficulties() {
        assert_eq!(difficulty(&[json!(1)]), Ok(1.0));
        assert_eq!(difficulty(&[json!(0.25)]), Ok(0.25));
        assert_eq!(difficulty(&[json!(1e-6)]), Ok(1e-6));
        for bad in [json!(1.0), json!(0), json!(1.5), json!("1"), json!(-1)] {
            assert!(difficulty(std::slice::from_ref(&bad)).is_err(), "{bad}");
        }
        assert!(difficulty(&[json!(1), json!(2)]).is_err());
    }

    #[test]
    fn crc_of_the_standard_text() {
        assert_eq!(crc16("123456789"), 0x29B1);
    }

    #[test]
    fn job_ids() {
        let seen = vec!["00000001".to_owned()];
        assert_eq!(job_id("00000002", &seen, true), None);
        assert!(job_id("00000001", &seen, false).is_some());
        assert!(job_id("0000000A", &seen, false).is_some());
        assert!(job_id("1", &seen, false).is_some());
        let clash = (2..u32::MAX).map(|n| format!("{n:08x}")).find(|id| crc16(id) == crc16("00000001")).unwrap();
        assert!(job_id(&clash, &seen, true).is_some());
        assert!(job_id(&clash, &seen, false).is_none());
    }

    #[test]
    fn replies() {
        assert_eq!(reply(&json!({"id": 1, "result": true, "error": null})), None);
        assert_eq!(reply(&json!({"id": 1, "result": null, "error": [21, "Stale", null]})), None);
        assert!(reply(&json!({"id": 1, "result": true})).is_some());
        assert!(reply(&json!({"id": 1, "result": false, "error": [21, "Stale", null]})).is_some());
        assert!(reply(&json!({"id": 1, "result": null, "error": [21, "Stale"]})).is_some());
    }
}
