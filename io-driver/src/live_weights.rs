//! Weights that were moved while the proxy ran stay in force over a restart, until somebody edits those of the config or
//! asks for the config's own. The file is v2's `weights_override.json`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dpmp_core::PoolId;
use dpmp_core::config::normalise;
use dpmp_core::notice::WeightsSource;
use serde_json::{Map, Value, json};

use crate::clock::{rfc3339, unix_micros};

/// The file's name, beside the config.
pub const NAME: &str = "weights_override.json";

/// The live weights' memory.
#[derive(Debug)]
pub struct LiveWeights {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the config says, parts per million.
    configured: Vec<u32>,
    /// What was in force before the last change.
    undo: Option<Vec<u32>>,
    /// What the file says.
    written: Option<Vec<u32>>,
}

impl LiveWeights {
    /// For a config that says these weights.
    pub fn new(path: Option<PathBuf>, configured: Vec<u32>) -> LiveWeights {
        LiveWeights { path, state: Mutex::new(State { configured, undo: None, written: None }) }
    }

    /// Plain data: whole between any two statements.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weights that were moved before the last stop, if they still hold: the config's are those of then.
    pub fn kept(&self) -> Option<Vec<u32>> {
        let text = fs::read_to_string(self.path.as_ref()?).ok()?;
        let file: Map<String, Value> = serde_json::from_str(&text).ok()?;
        let configured = self.configured();
        if file.get("config").is_some_and(|then| *then != json!(configured)) {
            return None;
        }
        let of = |slot: usize| {
            let key = format!("pool{}_weight", PoolId(u8::try_from(slot).ok()?));
            let number = file.get(&key)?;
            let number = number.as_f64().or_else(|| number.as_str()?.trim().parse().ok());
            number.filter(|weight| (0.0..=1e9).contains(weight)).map(|weight| (weight * 1e6).round() as u128)
        };
        let weights: Option<Vec<u128>> = (0..configured.len()).map(of).collect();
        normalise(&weights?)
    }

    /// What the config says.
    pub fn configured(&self) -> Vec<u32> {
        self.state().configured.clone()
    }

    /// A new config is in force. If it says other weights than the last, those hold, and what was moved is forgotten.
    pub fn reconfigured(&self, configured: &[u32]) {
        let mut state = self.state();
        if state.configured != configured {
            *state = State { configured: configured.to_vec(), undo: None, written: None };
            // One that stays names weights that the config no longer says, and is passed over.
            let _ = self.forget();
        }
    }

    /// What was in force before the last change.
    pub fn undo(&self) -> Option<Vec<u32>> {
        self.state().undo.clone()
    }

    /// The weights were moved. An error: they will not survive a restart.
    pub fn changed(&self, before: &[u32], now: &[u32], source: &str) -> io::Result<()> {
        let mut state = self.state();
        if before != now {
            state.undo = Some(before.to_vec());
        }
        self.write(&mut state, now, source)
    }

    /// These weights came into force, whoever moved them. What [`LiveWeights::changed`] has written is not written again.
    pub(crate) fn follow(&self, before: &[u32], now: &[u32], source: WeightsSource) -> io::Result<()> {
        let mut state = self.state();
        if source == WeightsSource::Oracle && before != now {
            state.undo = Some(before.to_vec());
        }
        // A new config is its own memory.
        if source == WeightsSource::Config || state.written.as_deref() == Some(now) {
            return Ok(());
        }
        self.write(&mut state, now, source.word())
    }

    /// The lock is held meanwhile: what is written last is what came last.
    fn write(&self, state: &mut State, now: &[u32], source: &str) -> io::Result<()> {
        state.written = None;
        if now == state.configured {
            self.forget()?;
            state.written = Some(now.to_vec());
            return Ok(());
        }
        let Some(path) = &self.path else { return Ok(()) };
        let configured = &state.configured;
        let mut file = Map::new();
        for (slot, weight) in (0u8..).zip(now) {
            file.insert(format!("pool{}_weight", PoolId(slot)), json!(f64::from(*weight) / 1e4));
        }
        file.insert("source".to_owned(), json!(source));
        file.insert("ts".to_owned(), json!(rfc3339(unix_micros() / 1_000_000)));
        file.insert("config".to_owned(), json!(configured));
        let temporary = path.with_extension("json.new");
        fs::write(&temporary, format!("{}\n", Value::Object(file)))?;
        fs::rename(&temporary, path)?;
        state.written = Some(now.to_vec());
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        match self.path.as_ref().map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_holds_until_the_config_is_edited() {
        let path = std::env::temp_dir().join(format!("dpmp-live-{}.json", std::process::id()));
        let _ = fs::remove_file(&path);
        let even = vec![500_000, 500_000];
        let live = |configured: &[u32]| LiveWeights::new(Some(path.clone()), configured.to_vec());
        let first = live(&even);
        assert_eq!((first.kept(), first.undo()), (None, None));
        first.changed(&even, &[900_000, 100_000], "test").unwrap();
        assert_eq!(first.undo(), Some(even.clone()));
        assert_eq!(live(&even).kept(), Some(vec![900_000, 100_000]));
        assert_eq!(live(&[700_000, 300_000]).kept(), None, "edited while it was stopped");
        first.reconfigured(&even);
        assert!(path.exists(), "the same weights are no edit");
        first.reconfigured(&[700_000, 300_000]);
        assert!(!path.exists() && first.undo().is_none());
        // v2's own file.
        fs::write(&path, r#"{"poolA_weight": 70, "poolB_weight": "30", "source": "slider"}"#).unwrap();
        assert_eq!(live(&even).kept(), Some(vec![700_000, 300_000]));
        for bad in ["", "[]", r#"{"poolA_weight": 70}"#, r#"{"poolA_weight": -1, "poolB_weight": 2}"#] {
            fs::write(&path, bad).unwrap();
            assert_eq!(live(&even).kept(), None, "{bad}");
        }
        live(&even).changed(&[900_000, 100_000], &even, "config default").unwrap();
        // An older value of the slider, and then the automatic balance.
        let both = live(&even);
        both.changed(&even, &[700_000, 300_000], "set").unwrap();
        both.follow(&[700_000, 300_000], &[600_000, 400_000], WeightsSource::Oracle).unwrap();
        assert_eq!(live(&even).kept(), Some(vec![600_000, 400_000]));
        assert_eq!(both.undo(), Some(vec![700_000, 300_000]));
        both.follow(&[600_000, 400_000], &even, WeightsSource::Oracle).unwrap();
        assert!(!path.exists());
    }
}
