//! Lines as typed messages: what miners ask ([`MinerRequest`]) and what pools say ([`PoolMessage`]).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::hex;
use super::wire::{Line, Params, RequestId, text};
use crate::difficulty::{Difficulty, Target};

/// Longest name (user, password, agent, method) that is taken from a peer; the rest is cut at a character.
pub(crate) const LONGEST_NAME: usize = 256;

/// What a miner asks for.
#[derive(Debug)]
pub(crate) enum MinerRequest<'a> {
    Configure(Configure),
    Subscribe {
        agent: Cow<'a, str>,
    },
    ExtranonceSubscribe,
    Authorize {
        user: Cow<'a, str>,
        password: Cow<'a, str>,
    },
    SuggestDifficulty(Difficulty),
    Submit(Submit<'a>),
    GetTransactions,
    MultiVersion,
    Capabilities,
    Ping,
    /// `mining.pong`, or a response to something that we never asked: no reply is due if it has no id.
    Pong,
    /// A known method with params that make no sense, in words.
    Bad {
        method: &'static str,
        what: &'static str,
    },
    Unknown(Cow<'a, str>),
}

/// BIP 310: what extensions a miner asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configure {
    /// The mask of version bits that it wants to roll; none: version rolling not asked for.
    pub(crate) version_mask: Option<u32>,
    pub(crate) minimum_difficulty: bool,
    pub(crate) subscribe_extranonce: bool,
    pub(crate) info: bool,
}

/// A share as the miner wrote it.
#[derive(Debug)]
pub(crate) struct Submit<'a> {
    pub(crate) job: Cow<'a, str>,
    pub(crate) extranonce2: Cow<'a, str>,
    pub(crate) ntime: Cow<'a, str>,
    pub(crate) nonce: Cow<'a, str>,
    pub(crate) version_bits: Option<Cow<'a, str>>,
}

/// Cuts a peer's text at [`LONGEST_NAME`] bytes and drops control characters, so that it can be shown and sent on.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST_NAME));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > LONGEST_NAME {
            break;
        }
        out.push(c);
    }
    out
}

/// Reads a miner's line. The error is for people.
pub(crate) fn miner_request<'a>(line: &'a [u8]) -> Result<(RequestId, MinerRequest<'a>), String> {
    let line = Line::parse(line)?;
    let id = RequestId::of(line.id);
    let Some(method) = line.method.and_then(text) else {
        return if line.result.is_some() || line.error.is_some() || line.id.is_some() {
            Ok((RequestId::Null, MinerRequest::Pong))
        } else {
            Err("not a Stratum line: neither a method nor a result".to_string())
        };
    };
    let Some(params) = Params::parse(line.params) else {
        return Ok((id, MinerRequest::Bad { method: "params", what: "params must be a list" }));
    };
    let request = match method.as_ref() {
        "mining.submit" => submit(&params),
        "mining.configure" => MinerRequest::Configure(configure(&params)),
        "mining.subscribe" => MinerRequest::Subscribe { agent: params.text(0).unwrap_or_default() },
        "mining.extranonce.subscribe" => MinerRequest::ExtranonceSubscribe,
        "mining.authorize" => match params.text(0) {
            Some(user) => MinerRequest::Authorize { user, password: params.text(1).unwrap_or_default() },
            None => MinerRequest::Bad { method: "mining.authorize", what: "params must be [user, password]" },
        },
        "mining.suggest_difficulty" => match params.text(0).and_then(|d| Difficulty::parse(&d)) {
            Some(difficulty) => MinerRequest::SuggestDifficulty(difficulty),
            None => {
                MinerRequest::Bad { method: "mining.suggest_difficulty", what: "params must be [difficulty above 0]" }
            }
        },
        "mining.suggest_target" => {
            match params.text(0).and_then(|t| Target::from_hex(&t)).and_then(|t| t.to_difficulty()) {
                Some(difficulty) => MinerRequest::SuggestDifficulty(difficulty),
                None => MinerRequest::Bad { method: "mining.suggest_target", what: "params must be [64 hex digits]" },
            }
        }
        "mining.get_transactions" => MinerRequest::GetTransactions,
        "mining.multi_version" => MinerRequest::MultiVersion,
        "mining.capabilities" => MinerRequest::Capabilities,
        "mining.ping" => MinerRequest::Ping,
        "mining.pong" => MinerRequest::Pong,
        _ => MinerRequest::Unknown(method),
    };
    Ok((id, request))
}

fn submit<'a>(params: &Params<'a>) -> MinerRequest<'a> {
    let fields = (params.text(1), params.text(2), params.text(3), params.text(4));
    let (Some(job), Some(extranonce2), Some(ntime), Some(nonce)) = fields else {
        return MinerRequest::Bad {
            method: "mining.submit",
            what: "params must be [user, job, extranonce2, ntime, nonce] and perhaps version bits",
        };
    };
    MinerRequest::Submit(Submit { job, extranonce2, ntime, nonce, version_bits: params.text(5) })
}

fn configure(params: &Params<'_>) -> Configure {
    #[derive(Deserialize, Default)]
    struct Options<'a> {
        #[serde(rename = "version-rolling.mask", default, borrow)]
        mask: Option<&'a RawValue>,
    }
    let names: Vec<String> = params.get(0).and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    let asks = |name: &str| names.iter().any(|n| n == name);
    let options: Options<'_> =
        params.get(1).and_then(|options| serde_json::from_str(options.get()).ok()).unwrap_or_default();
    let mask = options.mask.and_then(text).and_then(|m| hex::word(&m)).unwrap_or(u32::MAX);
    Configure {
        version_mask: asks("version-rolling").then_some(mask),
        minimum_difficulty: asks("minimum-difficulty"),
        subscribe_extranonce: asks("subscribe-extranonce"),
        info: asks("info"),
    }
}

/// What a pool says.
#[derive(Debug)]
pub(crate) enum PoolMessage<'a> {
    /// An answer to one of our requests.
    Response {
        id: u64,
        answer: Answer<'a>,
    },
    Notify(Notify),
    SetDifficulty(Difficulty),
    SetExtranonce(Subscription),
    SetVersionMask(u32),
    ShowMessage(Cow<'a, str>),
    Ping(RequestId),
    GetVersion(RequestId),
    Reconnect {
        host: Cow<'a, str>,
        port: Option<u16>,
        /// Seconds before the connection is to be made anew.
        wait: u32,
    },
    Unknown {
        id: RequestId,
        method: Cow<'a, str>,
    },
}

/// The result of a request, whatever the shape in which the pool's software puts it.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// The result, which may be missing (`null` without an error).
    Ok(Option<&'a RawValue>),
    /// Refused, with a code (20 if none was given) and words.
    Refused { code: i64, text: String },
}

/// A pool's extranonce1 and extranonce2_size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_bytes: u8,
}

/// A job as the pool told it, every field checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notify {
    pub(crate) job: String,
    /// In the byte order of the wire.
    pub(crate) prevhash: [u8; 32],
    pub(crate) coinb1: Vec<u8>,
    pub(crate) coinb2: Vec<u8>,
    pub(crate) branches: Vec<[u8; 32]>,
    pub(crate) version: u32,
    pub(crate) nbits: u32,
    pub(crate) ntime: u32,
    pub(crate) clean: bool,
}

/// Longest extranonce1 and extranonce2 that are taken from a pool, in bytes.
pub(crate) const LONGEST_EXTRANONCE1: usize = 32;
pub(crate) const LONGEST_EXTRANONCE2: u8 = 16;
/// Longest job id that is taken from a pool, in bytes.
const LONGEST_JOB_ID: usize = 128;
/// Longest half of a coinbase, in bytes: a line is at most 256 KiB.
const LONGEST_COINBASE: usize = 100_000;
/// Most merkle branches: Bitaxe aborts above 32, and a block has at most 2^24 transactions or so.
const MOST_BRANCHES: usize = 32;

/// Reads a pool's line. The error is for people.
pub(crate) fn pool_message<'a>(line: &'a [u8]) -> Result<PoolMessage<'a>, String> {
    let line = Line::parse(line)?;
    let Some(method) = line.method.and_then(text) else {
        let RequestId::Number(id) = RequestId::of(line.id) else {
            return Err(format!("an answer with an id that we never used: {}", RequestId::of(line.id)));
        };
        return Ok(PoolMessage::Response { id, answer: answer(&line) });
    };
    let params = Params::parse(line.params).ok_or_else(|| format!("{method}: params must be a list"))?;
    let bad = |what: &str| format!("{method}: {what}");
    Ok(match method.as_ref() {
        "mining.notify" => PoolMessage::Notify(notify(&params).map_err(bad)?),
        "mining.set_difficulty" => PoolMessage::SetDifficulty(
            params
                .text(0)
                .and_then(|d| Difficulty::parse(&d))
                .ok_or_else(|| bad("the difficulty is no number above 0"))?,
        ),
        "mining.set_extranonce" => PoolMessage::SetExtranonce(subscription(&params, 0).map_err(bad)?),
        "mining.set_version_mask" => PoolMessage::SetVersionMask(
            params.text(0).and_then(|m| hex::word(&m)).ok_or_else(|| bad("the mask is not hex"))?,
        ),
        "client.show_message" => PoolMessage::ShowMessage(params.text(0).unwrap_or_default()),
        "mining.ping" | "client.ping" => PoolMessage::Ping(RequestId::of(line.id)),
        "client.get_version" => PoolMessage::GetVersion(RequestId::of(line.id)),
        "client.reconnect" => PoolMessage::Reconnect {
            host: params.text(0).unwrap_or_default(),
            port: params.text(1).and_then(|p| p.parse().ok()),
            wait: params.text(2).and_then(|p| p.parse().ok()).unwrap_or(0),
        },
        _ => PoolMessage::Unknown { id: RequestId::of(line.id), method },
    })
}

pub(crate) fn answer<'a>(line: &Line<'a>) -> Answer<'a> {
    if let Some(reason) = line.reject_reason.and_then(text) {
        return Answer::Refused { code: code_for(&reason), text: clean(&reason) };
    }
    match line.error {
        Some(error) if error.get() != "false" => refusal(error),
        _ if line.result.is_some_and(|r| r.get() == "false") => {
            Answer::Refused { code: 20, text: "refused without a reason".to_string() }
        }
        _ => Answer::Ok(line.result),
    }
}

/// `[code, "text", ...]`, `{"code":..,"message":..}`, a string or a bare value.
fn refusal<'a>(error: &RawValue) -> Answer<'a> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(default)]
        code: Option<i64>,
        #[serde(default, borrow)]
        message: Option<&'a RawValue>,
    }
    if let Ok(list) = serde_json::from_str::<Params<'_>>(error.get()) {
        let words = clean(&list.text(1).unwrap_or_default());
        let code = list.text(0).and_then(|c| c.parse().ok());
        return Answer::Refused { code: code.unwrap_or_else(|| code_for(&words)), text: words };
    }
    if let Ok(Object { code, message }) = serde_json::from_str(error.get()) {
        let words = clean(&message.and_then(text).unwrap_or_default());
        return Answer::Refused { code: code.unwrap_or_else(|| code_for(&words)), text: words };
    }
    let words = clean(&text(error).unwrap_or_default());
    Answer::Refused { code: code_for(&words), text: words }
}

/// The usual code for a reason that came without one.
fn code_for(words: &str) -> i64 {
    let has = |needle: &str| words.as_bytes().windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle.as_bytes()));
    if has("stale") || has("not found") || has("invalid jobid") || has("invalid job") {
        21
    } else if has("dup") {
        22
    } else if has("low diff") || has("above target") || has("difficulty") || has("high-hash") {
        23
    } else if has("unauthorized") || has("unauthorised") || has("worker mismatch") {
        24
    } else if has("subscribed") {
        25
    } else {
        20
    }
}

/// `[..., extranonce1, extranonce2_size]` from position `at`.
pub(crate) fn subscription(params: &Params<'_>, at: usize) -> Result<Subscription, &'static str> {
    let extranonce1 = params.text(at).ok_or("extranonce1 is missing")?;
    let extranonce1 =
        hex::bytes(&extranonce1, LONGEST_EXTRANONCE1).ok_or("extranonce1 is no hex of at most 32 bytes")?;
    let size = params.text(at + 1).and_then(|n| n.parse::<u8>().ok()).ok_or("extranonce2_size is no small number")?;
    if !(1..=LONGEST_EXTRANONCE2).contains(&size) {
        return Err("extranonce2_size must be 1 to 16");
    }
    Ok(Subscription { extranonce1, extranonce2_bytes: size })
}

/// The result of `mining.subscribe`: `[subscriptions, extranonce1, extranonce2_size]`.
pub(crate) fn subscribe_result(result: Option<&RawValue>) -> Result<Subscription, &'static str> {
    let params: Params<'_> =
        result.and_then(|r| serde_json::from_str(r.get()).ok()).ok_or("the result is not a list")?;
    subscription(&params, 1)
}

/// The mask of the result of `mining.configure`; none when version rolling is not granted.
pub(crate) fn configure_result(result: Option<&RawValue>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Granted<'a> {
        #[serde(rename = "version-rolling", default, borrow)]
        rolling: Option<&'a RawValue>,
        #[serde(rename = "version-rolling.mask", default, borrow)]
        mask: Option<&'a RawValue>,
    }
    let granted = serde_json::from_str::<Granted<'_>>(result?.get()).ok()?;
    let rolling = granted.rolling.is_some_and(|r| r.get() == "true");
    rolling.then(|| granted.mask.and_then(text).and_then(|m| hex::word(&m)).unwrap_or(0))
}

fn notify(params: &Params<'_>) -> Result<Notify, &'static str> {
    if params.len() < 8 {
        return Err("fewer than 8 params");
    }
    let field = |i: usize| params.text(i).ok_or("a param is missing");
    let job = field(0)?;
    if job.is_empty() || job.len() > LONGEST_JOB_ID {
        return Err("the job id is empty or longer than 128 bytes");
    }
    let branches: Vec<Cow<'_, str>> = params
        .get(4)
        .and_then(|list| serde_json::from_str(list.get()).ok())
        .ok_or("the merkle branches are no list of strings")?;
    if branches.len() > MOST_BRANCHES {
        return Err("more than 32 merkle branches");
    }
    Ok(Notify {
        job: job.into_owned(),
        prevhash: hex::array(&field(1)?).ok_or("prevhash is not 32 bytes of hex")?,
        coinb1: hex::bytes(&field(2)?, LONGEST_COINBASE).ok_or("coinb1 is not hex")?,
        coinb2: hex::bytes(&field(3)?, LONGEST_COINBASE).ok_or("coinb2 is not hex")?,
        branches: branches
            .iter()
            .map(|b| hex::array(b))
            .collect::<Option<_>>()
            .ok_or("a merkle branch is not 32 bytes of hex")?,
        version: hex::word(&field(5)?).ok_or("the version is not hex")?,
        nbits: hex::word(&field(6)?).ok_or("nbits is not hex")?,
        ntime: hex::word(&field(7)?).ok_or("ntime is not hex")?,
        clean: params.get(8).is_none_or(|c| !matches!(c.get(), "false" | "0" | "null")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn refusals_of_every_shape() {
        for (line, want) in [
            (r#"{"id":1,"result":null,"error":[21,"Stale",null]}"#, (21, "Stale")),
            (r#"{"id":1,"result":null,"error":[21,"job not found"]}"#, (21, "job not found")),
            (r#"{"id":1,"result":false,"error":{"code":-32,"message":"no"}}"#, (-32, "no")),
            (r#"{"id":1,"result":null,"error":"Duplicate share"}"#, (22, "Duplicate share")),
            (r#"{"id":1,"result":false,"error":null,"reject-reason":"Above target"}"#, (23, "Above target")),
            (r#"{"id":1,"result":false,"error":null}"#, (20, "refused without a reason")),
            (r#"{"id":1,"result":null,"error":[null,"low difficulty"]}"#, (23, "low difficulty")),
            (r#"{"id":1,"error":true}"#, (20, "true")),
        ] {
            let Ok(PoolMessage::Response { id: 1, answer: Answer::Refused { code, text } }) =
                pool_message(line.as_bytes())
            else {
                panic!("{line}")
            };
            assert_eq!((code, text.as_str()), want, "{line}");
        }
        for line in [
            r#"{"id":1,"result":true,"error":null}"#,
            r#"{"id":1,"result":null,"error":null}"#,
            r#"{"id":1,"result":true}"#,
            r#"{"id":1,"result":true,"error":false}"#,
        ] {
            assert!(
                matches!(pool_message(line.as_bytes()), Ok(PoolMessage::Response { answer: Answer::Ok(_), .. })),
                "{line}"
            );
        }
    }

    #[test]
    fn configure_in_all_its_forms() {
        let ask = |params: &str| {
            let line = format!(r#"{{"id":1,"method":"mining.configure","params":{params}}}"#);
            match miner_request(line.as_bytes()) {
                Ok((_, MinerRequest::Configure(c))) => c,
                other => panic!("{other:?}"),
            }
        };
        let mask = |params: &str| ask(params).version_mask;
        assert_eq!(mask(r#"[["version-rolling"],{"version-rolling.mask":"1fffe000"}]"#), Some(0x1fff_e000));
        assert_eq!(mask(r#"[["version-rolling"],{"version-rolling.mask":"0x1FFFE000"}]"#), Some(0x1fff_e000));
        assert_eq!(mask(r#"[["version-rolling"],{}]"#), Some(u32::MAX));
        assert_eq!(mask(r#"[["version-rolling"]]"#), Some(u32::MAX));
        assert_eq!(mask(r#"[["minimum-difficulty"],{"minimum-difficulty.value":1}]"#), None);
        assert_eq!(mask("[]"), None);
        assert_eq!(mask("[3,4]"), None);
    }

    #[test]
    fn granted_masks() {
        let granted = |json: &str| configure_result(serde_json::from_str(json).ok());
        assert_eq!(granted(r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#), Some(0x1fff_e000));
        assert_eq!(granted(r#"{"version-rolling":true}"#), Some(0));
        assert_eq!(granted(r#"{"version-rolling":false,"version-rolling.mask":"1fffe000"}"#), None);
        assert_eq!(granted(r#"{"version-rolling":"no"}"#), None);
        assert_eq!(granted("true"), None);
    }

    #[test]
    fn a_notify_is_checked_field_by_field() {
        let good = [
            "\"j\"",
            &format!("\"{}\"", "00".repeat(32)),
            "\"01\"",
            "\"02\"",
            "[]",
            "\"20000000\"",
            "\"1d00ffff\"",
            "\"5f5e1000\"",
            "true",
        ]
        .map(String::from);
        let line =
            |fields: &[String]| format!(r#"{{"id":null,"method":"mining.notify","params":[{}]}}"#, fields.join(","));
        let Ok(PoolMessage::Notify(n)) = pool_message(line(&good).as_bytes()) else { panic!() };
        assert_eq!((n.job.as_str(), n.version, n.nbits, n.clean), ("j", 0x2000_0000, 0x1d00_ffff, true));
        for (i, bad) in
            [(0, "\"\""), (1, "\"00\""), (2, "\"0\""), (3, "null"), (4, "[1]"), (5, "\"x\""), (6, "\"\""), (7, "{}")]
        {
            let mut fields = good.clone();
            fields[i] = bad.to_string();
            assert!(pool_message(line(&fields).as_bytes()).is_err(), "{i} {bad}");
        }
        assert!(pool_message(line(&good[..7]).as_bytes()).is_err());
        let mut many = good.clone();
        many[4] = format!("[{}]", vec![format!("\"{}\"", "00".repeat(32)); 33].join(","));
        assert!(pool_message(line(&many).as_bytes()).is_err());
    }

    #[test]
    fn odd_lines_of_miners() {
        let read = |line: &str| miner_request(line.as_bytes()).map(|(id, r)| (id.to_string(), format!("{r:?}")));
        assert_eq!(read(r#"{"id":5,"result":true,"error":null}"#).unwrap(), ("null".into(), "Pong".into()));
        assert!(read("[]").is_err());
        assert!(read("{}").is_err());
        assert!(read(r#"{"id":1,"method":"mining.submit","params":["a","b"]}"#).unwrap().1.starts_with("Bad"));
        assert!(read(r#"{"id":1,"method":"mining.authorize","params":[]}"#).unwrap().1.starts_with("Bad"));
        assert!(read(r#"{"id":1,"method":"mining.subscribe","params":{}}"#).unwrap().1.starts_with("Bad"));
        assert!(read(r#"{"id":1,"method":"x.y","params":[]}"#).unwrap().1.starts_with("Unknown"));
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(clean("a\u{7}b\n"), "ab");
        assert_eq!(clean(&"é".repeat(200)).len(), 256);
    }
}
