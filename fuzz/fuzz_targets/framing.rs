#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dpmp_sim::fuzzing::framing::body(data));
