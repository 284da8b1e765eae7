//! A grammar of lines: mostly what real peers say, with any field now and then anything else.

use arbitrary::{Result, Unstructured};

use super::bench::notify;
use super::rules::{MinerSeen, PoolSeen};

const ODD: [&str; 24] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "8",
    "4294967296",
    "18446744073709551616",
    "1e308",
    "1e999",
    "0.00000000000000000001",
    "\"\"",
    "\"0\"",
    "\"ffffffff\"",
    "\"0x1FFFE000\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{e9}\\\"\\\\\"",
    "\"mining.submit\"",
    "{}",
    "[]",
    "[[[]]]",
    "{\"a\":[1,{}]}",
];

const AGENTS: [&str; 14] = [
    "cgminer/4.11.1",
    "NerdMinerV2/V1.7.0",
    "bitaxe/BM1366/v2.4.0",
    "bitaxe/BM1370/v2.9.0",
    "LeafMiner/0.0.1",
    "cpuminer/2.5.1",
    "cgminer/4.11.1 avalon-nano3s",
    "Avalon Q",
    "bmminer/2.0.0/Antminer S19/20220426",
    "btminer/3.4.0",
    "NerdQAxe++/BM1370/v1.0.30",
    "bfgminer/5.5.0",
    "mystery",
    "",
];

/// A field: this one, or now and then anything.
fn or_odd(u: &mut Unstructured<'_>, usual: &str) -> Result<String> {
    if u.ratio(1u8, 24u8)? {
        return Ok(match u.int_in_range(0..=25u8)? {
            24 => format!("\"{}\"", "7a".repeat(u.int_in_range(1..=600usize)?)),
            25 => format!("\"{}\"", String::from_utf8_lossy(u.bytes(u.len().min(6))?).escape_default()),
            n => ODD[usize::from(n)].to_string(),
        });
    }
    Ok(usual.to_string())
}

fn list(u: &mut Unstructured<'_>, fields: &[String]) -> Result<String> {
    let mut all = Vec::with_capacity(fields.len());
    for field in fields {
        all.push(or_odd(u, field)?);
    }
    match u.int_in_range(0..=40u8)? {
        0 => drop(all.pop()),
        1 => all.push(ODD[u.choose_index(ODD.len())?].to_string()),
        _ => {}
    }
    Ok(all.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// What a miner may say.
pub(super) fn of_miner(u: &mut Unstructured<'_>, seen: Option<&MinerSeen>) -> Result<String> {
    let agent = quoted(AGENTS[u.choose_index(AGENTS.len())?]);
    let (method, fields) = match u.int_in_range(0..=13u8)? {
        0 | 1 => ("mining.subscribe", vec![agent]),
        2 | 3 => ("mining.authorize", vec![quoted(["own.w", "w", "a.b.c", "."][u.choose_index(4)?]), quoted("pw")]),
        4 => {
            let mask = ["ffffffff", "1fffe000", "00ffe000", "0"][u.choose_index(4)?];
            let fields = vec![
                r#"["version-rolling","subscribe-extranonce"]"#.to_string(),
                format!(r#"{{"version-rolling.mask":"{mask}","version-rolling.min-bit-count":2}}"#),
            ];
            ("mining.configure", fields)
        }
        5 => ("mining.extranonce.subscribe", vec![]),
        6 => ("mining.suggest_difficulty", vec![["0.0000000001", "1", "1e-3", "65536.5"][u.choose_index(4)?].into()]),
        7 => {
            let others = [
                "mining.ping",
                "mining.pong",
                "mining.get_transactions",
                "mining.multi_version",
                "mining.capabilities",
                "mining.suggest_target",
                "client.get_version",
            ];
            (others[u.choose_index(others.len())?], vec![])
        }
        _ => ("mining.submit", share(u, seen)?),
    };
    let id = ["1", "4", "\"auth\"", "77"][u.choose_index(4)?];
    let id = or_odd(u, id)?;
    let method = or_odd(u, &quoted(method))?;
    let params = list(u, &fields)?;
    let params = or_odd(u, &format!("[{params}]"))?;
    Ok(format!(r#"{{"id":{id},"method":{method},"params":{params}}}"#))
}

/// The fields of a submit of a job that this miner has.
fn share(u: &mut Unstructured<'_>, seen: Option<&MinerSeen>) -> Result<Vec<String>> {
    let none = (String::from("00000001"), 4, 0x6500_0000, 0);
    let (id, size, ntime, mask) = match seen {
        Some(seen) if !seen.jobs.is_empty() => {
            let back = u.int_in_range(0..=3usize)?.min(seen.jobs.len() - 1);
            let job = &seen.jobs[seen.jobs.len() - 1 - back];
            (job.id.clone(), job.extranonce2_bytes, job.ntime, seen.mask)
        }
        _ => none,
    };
    let extranonce2 = format!("{:0width$x}", u.int_in_range(0..=255u8)?, width = size * 2);
    let ntime = ntime.wrapping_add(u32::from(u.int_in_range(0..=3u8)?));
    let nonce = u.int_in_range(0..=7u32)?;
    let nonce = match u.int_in_range(0..=4u8)? {
        0 => format!("{nonce:x}"),
        1 => format!("0x{nonce:08X}"),
        _ => format!("{nonce:08x}"),
    };
    let mut fields =
        vec![quoted("own.w"), quoted(&id), quoted(&extranonce2), quoted(&format!("{ntime:08x}")), quoted(&nonce)];
    if mask != 0 && u.ratio(3u8, 4u8)? || u.ratio(1u8, 16u8)? {
        let bits = u.arbitrary::<u32>()?;
        let bits = if u.ratio(1u8, 8u8)? { bits } else { bits & mask };
        fields.push(quoted(&format!("{bits:08x}")));
    }
    Ok(fields)
}

/// What a pool may say: an answer to what it was asked, or a notification.
pub(super) fn of_pool(u: &mut Unstructured<'_>, seen: Option<&PoolSeen>) -> Result<String> {
    let asked: Vec<(u64, &str)> = seen.map_or(vec![], |s| s.asked.iter().map(|(id, m)| (*id, m.as_str())).collect());
    if !asked.is_empty() && u.ratio(1u8, 2u8)? {
        let (id, method) = asked[u.choose_index(asked.len())?];
        return answer(u, id, method);
    }
    let job = u.int_in_range(0..=9u8)?.to_string();
    let (method, fields) = match u.int_in_range(0..=10u8)? {
        0..=3 if !u.ratio(1u8, 16u8)? => return Ok(notify(&job, u.arbitrary()?)),
        0..=3 => {
            let branches = format!("[{}]", vec![quoted(&"22".repeat(32)); u.int_in_range(0..=34usize)?].join(","));
            let coinb1 = quoted(&"0a".repeat(u.int_in_range(0..=9000usize)?));
            let texts = [quoted(&job), quoted(&"00".repeat(32)), coinb1, quoted("bb"), branches];
            let rest = [quoted("20000000"), quoted("207fffff"), quoted("65000001"), "true".to_string()];
            ("mining.notify", texts.into_iter().chain(rest).collect())
        }
        4 | 5 => {
            let difficulty = ["0.0000000001", "0.0000000002", "0.5", "1", "1.5", "65536", "1e15"][u.choose_index(7)?];
            ("mining.set_difficulty", vec![difficulty.into()])
        }
        6 => {
            let one = quoted(["", "cc", "aabbccdd", "0011223344556677"][u.choose_index(4)?]);
            ("mining.set_extranonce", vec![one, u.int_in_range(0..=17u8)?.to_string()])
        }
        7 => {
            let mask = ["1fffe000", "00ffe000", "00000000", "ffffffff"][u.choose_index(4)?];
            ("mining.set_version_mask", vec![quoted(mask)])
        }
        8 => (
            "client.reconnect",
            vec![quoted(["", "pool-a", "evil.example"][u.choose_index(3)?]), "3333".into(), "1".into()],
        ),
        9 => ("client.show_message", vec![quoted("hello")]),
        _ => (["mining.ping", "client.get_version", "client.ping", "x.y"][u.choose_index(4)?], vec![]),
    };
    let id = or_odd(u, "null")?;
    let method = or_odd(u, &quoted(method))?;
    let params = list(u, &fields)?;
    Ok(format!(r#"{{"id":{id},"method":{method},"params":[{params}]}}"#))
}

fn answer(u: &mut Unstructured<'_>, id: u64, method: &str) -> Result<String> {
    let refusals = [
        r#""result":null,"error":[21,"Job not found",null]"#,
        r#""result":false,"error":null,"reject-reason":"Stale""#,
        r#""result":null,"error":{"code":23,"message":"low"}"#,
        r#""result":null,"error":"no""#,
        r#""result":false"#,
        r#""error":[22]"#,
    ];
    if u.ratio(1u8, 8u8)? {
        return Ok(format!(r#"{{"id":{id},{}}}"#, refusals[u.choose_index(refusals.len())?]));
    }
    let result = match method {
        "mining.configure" => {
            let mask = ["1fffe000", "00ffe000", "ffffffff"][u.choose_index(3)?];
            let granted = if u.ratio(1u8, 4u8)? { "false" } else { "true" };
            format!(r#"{{"version-rolling":{granted},"version-rolling.mask":"{mask}"}}"#)
        }
        "mining.subscribe" => {
            let one = quoted(["aabbccdd", "", "11", "0011223344556677"][u.choose_index(4)?]);
            let size = [8, 4, 3, 2, 5, 16, 1, 0][u.choose_index(8)?].to_string();
            let fields = list(u, &[r#"[["mining.notify","s"]]"#.to_string(), one, size])?;
            format!("[{fields}]")
        }
        _ => "true".to_string(),
    };
    Ok(format!(r#"{{"id":{id},"result":{},"error":null}}"#, or_odd(u, &result)?))
}
