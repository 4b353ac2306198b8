//! The embedded files are complete and readable.

use std::collections::BTreeSet;

use super::{FILES, recordings};

#[test]
fn every_file_is_embedded_and_readable() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/responses");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    let embedded: BTreeSet<String> = recordings().map(|r| r.case.clone()).collect();
    assert_eq!(embedded, on_disk);
    assert_eq!(FILES.len(), on_disk.len());
}

#[test]
fn every_recording_names_its_source() {
    for recording in recordings() {
        assert!(!recording.source.is_empty(), "{}", recording.case);
        assert!(
            ["documented", "observed in public thread", "observed in fixture"]
                .contains(&recording.provenance.as_str()),
            "{}",
            recording.case
        );
    }
}
