#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dejaq_fuzz::otlp_json(data));
