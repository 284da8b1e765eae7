//! The test of the way out of a crash: a build with debug assertions dies of bytes that contain the text of `DPMP_CRASH_AT`,
//! as it would of a bug in the engine. A release build does not know the variable.

use std::env;
use std::sync::OnceLock;

use dpmp_core::trace::Recorder;
use dpmp_core::{Event, Time};

/// Acts as a step that does not come back.
pub(super) fn if_asked(recorder: &mut Recorder, now: Time, event: &Event<'_>) {
    static AT: OnceLock<Option<String>> = OnceLock::new();
    let at = AT.get_or_init(|| env::var("DPMP_CRASH_AT").ok().filter(|text| !text.is_empty()));
    if let (Some(text), Event::Received { bytes, .. }) = (at, event)
        && bytes.windows(text.len()).any(|window| window == text.as_bytes())
    {
        recorder.writer().event(now, event);
        panic!("asked for by DPMP_CRASH_AT");
    }
}
