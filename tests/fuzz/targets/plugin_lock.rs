//! Any text as `capstan.lock`: what can be read is written so that it reads the same, and always in the same way.
#![no_main]

use std::path::Path;

use capstan_plugin_store::Lock;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let path = Path::new("capstan.lock");
    match Lock::parse(text, path) {
        Ok(lock) => {
            let written = lock.render();
            let again = Lock::parse(&written, path).expect("what was written can be read");
            assert_eq!(again, lock);
            assert_eq!(again.render(), written);
        }
        Err(error) => drop(error.to_string()),
    }
});
