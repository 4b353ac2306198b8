//! A settings file and variables: taken, or refused with at least one problem that names its
//! setting. Variables come first, one a line, up to an empty line.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use postrider_config::{Flags, Settings, Sources};

fuzz_target!(|text: &str| {
    let (variables, file) = text.split_once("\n\n").unwrap_or((text, ""));
    let env: BTreeMap<String, String> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("POSTRIDER_{name}"), value.to_owned()))
        .collect();
    let sources = Sources {
        env: &env,
        file: (!file.is_empty()).then_some((Path::new("postrider.toml"), file)),
        flags: &Flags::default(),
        read: &|_| Err(std::io::Error::other("there are no files here")),
    };
    if let Err(problems) = Settings::resolve(&sources) {
        assert!(!problems.0.is_empty());
        for problem in &problems.0 {
            assert!(!problem.to_string().is_empty());
        }
    }
});
