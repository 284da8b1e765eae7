//! What a wallet is, in words, for whoever types one: its form, its check sum, its chain. Shown, never enforced.

use dpmp_core::chain::Chain;
use dpmp_core::chain::address::{Check, Form, check};
use dpmp_core::config::PoolConfig;
use serde_json::{Value, json};

/// Whether it is well (none: nobody can tell), and why.
pub(super) fn verdict(pool: &PoolConfig) -> (Option<bool>, String) {
    let chain = Chain::of(&pool.chain);
    let named = chain.map_or("", Chain::name);
    match check(&pool.wallet, chain) {
        _ if pool.wallet.is_empty() => (None, "none: the worker's name alone goes to the pool".to_owned()),
        Check::Valid(form) => {
            let of = chain.map_or(String::new(), |chain| format!("{} ", chain.name()));
            (Some(true), format!("a valid {of}address ({})", form_name(form)))
        }
        Check::Testnet(_) => (Some(false), "an address of a test network: it is worth nothing".to_owned()),
        Check::OtherChain(other) => {
            (Some(false), format!("this is a {} address, pool {} is {named}", other.name(), pool.key))
        }
        Check::BadCheckSum { at: Some(at) } => {
            (Some(false), format!("the check sum does not fit: look at character {}", at.saturating_add(1)))
        }
        Check::BadCheckSum { at: None } => {
            (Some(false), "the check sum does not fit: some characters are wrong, copy it again".to_owned())
        }
        Check::NotAnAddress => (None, "a name, no address: right if this pool pays an account".to_owned()),
    }
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Key => "1…, key hash",
        Form::Script => "3…, script hash",
        Form::Segwit => "bech32",
        Form::Taproot => "bech32m, taproot",
        Form::Witness => "bech32m, a later witness version",
        Form::CashKey => "cashaddr, key hash",
        Form::CashScript => "cashaddr, script hash",
    }
}

/// As JSON, for a pool of a new config; `old` is the wallet until now.
pub(super) fn shown(pool: &PoolConfig, old: &str) -> Value {
    let (good, verdict) = verdict(pool);
    json!({"pool": pool.key, "chain": pool.chain, "old": old, "new": pool.wallet, "good": good, "verdict": verdict})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_words() {
        let words = |wallet: &str, chain: &str| {
            let pool = PoolConfig { wallet: wallet.to_owned(), chain: chain.to_owned(), ..PoolConfig::new("A") };
            verdict(&pool)
        };
        let genesis = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        assert_eq!(words(genesis, "BTC").0, Some(true));
        assert_eq!(words("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "BCH").0, Some(true));
        let (good, why) = words("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "BTC");
        assert_eq!((good, why.as_str()), (Some(false), "this is a BCH address, pool A is BTC"));
        let (good, why) = words(&genesis.replace('z', "y"), "BTC");
        assert!(good == Some(false) && why.contains("check sum"), "{why}");
        assert_eq!((words("my.account", "BTC").0, words("", "BTC").0), (None, None));
    }
}
