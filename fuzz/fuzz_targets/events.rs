#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dpmp_sim::fuzzing::events::body(data));
