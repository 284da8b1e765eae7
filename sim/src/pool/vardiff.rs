//! A pool's variable difficulty: each connection gets the one at which it sends so many shares a minute.

use super::{Flavour, PoolOut, SimPool};

impl SimPool {
    /// Looks at what each connection has sent since the last time.
    pub(super) fn adjust(&mut self, now_us: u64, out: &mut Vec<PoolOut>) {
        let Some(vardiff) = self.spec.vardiff else {
            self.next_vardiff_us = u64::MAX;
            return;
        };
        self.next_vardiff_us = now_us + vardiff.every_us;
        let wanted = (vardiff.shares_per_minute * vardiff.every_us as f64 / 60e6).max(0.5);
        let mut changed = false;
        for conn in self.ready() {
            let Some(state) = self.conns.get_mut(&conn) else { continue };
            let rate = f64::from(std::mem::take(&mut state.lately)) / wanted;
            // Twice too fast: at once to where it seems right; much too slow: a half, as only time can tell.
            let factor = match rate {
                2.0.. => 2f64.powi(libm::log2(rate).round() as i32 + 1),
                ..0.3 => 0.5,
                _ => continue,
            };
            let old: f64 = state.difficulty.parse().unwrap_or(1.0);
            let new = (old * factor).clamp(vardiff.least, vardiff.most);
            if new != old {
                let text = written(new);
                if let Some(user) = &state.user {
                    self.suits.insert(user.clone(), text.clone());
                }
                self.tell_difficulty(conn, &text, out);
                changed = true;
            }
        }
        if changed && self.spec.flavour == Flavour::PublicPool {
            // It refuses what the old difficulty brings, and sends a job so that there is no more of it.
            self.new_job(false, now_us, out);
        }
    }
}

/// As pools write numbers: no exponent.
fn written(difficulty: f64) -> String {
    if difficulty >= 1.0 { format!("{:.0}", difficulty.round()) } else { format!("{difficulty:.12}") }
}
