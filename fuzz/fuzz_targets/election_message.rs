#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zebu_fuzz_targets::election_message::run(bytes));
