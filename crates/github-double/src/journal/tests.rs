//! Bounds and counts of the journal.

use std::time::Duration;

use super::{Ending, Entry, Journal, Kind, TokenSeen};

fn entry(id: Option<&str>, accepted: bool) -> Entry {
    Entry {
        seq: 0,
        at: Duration::from_micros(7),
        method: "POST".to_owned(),
        path: "/repos/o/r/dispatches".to_owned(),
        kind: Kind::Dispatch,
        repo: Some("o/r".to_owned()),
        hook: None,
        token: TokenSeen::Accepted(0),
        user_agent: None,
        event_type: None,
        delivery_id: id.map(str::to_owned),
        headers: Vec::new(),
        body: Some("{}".to_owned()),
        status: Some(if accepted { 204 } else { 401 }),
        ending: Ending::Answered,
        accepted,
    }
}

#[test]
fn counts_stay_exact_beyond_the_capacity() {
    let mut journal = Journal::open(2, None).unwrap();
    for n in 0..10 {
        journal.record(entry(Some(&format!("id-{}", n % 4)), true));
    }
    journal.record(entry(None, true));
    journal.record(entry(Some("id-0"), false));
    let counts = journal.counts();
    assert_eq!((counts.requests, counts.dispatches, counts.accepted), (12, 12, 11));
    assert_eq!((counts.distinct, counts.duplicates, counts.without_id), (4, 6, 1));
    assert_eq!((counts.unauthorized, counts.forgotten), (1, 10));
    let kept: Vec<u64> = journal.entries(0, 100).iter().map(|entry| entry.seq).collect();
    assert_eq!(kept, [11, 12]);
    assert_eq!(journal.accepted().len(), 1);
    assert_eq!(journal.entries(12, 100).len(), 1);
}

#[test]
fn the_same_uuid_in_two_spellings_is_one_delivery() {
    let mut journal = Journal::open(0, None).unwrap();
    journal.record(entry(Some("01932C07-0000-7000-8000-00000000000A"), true));
    journal.record(entry(Some("01932c07-0000-7000-8000-00000000000a"), true));
    assert_eq!(journal.counts().duplicates, 1);
}

#[test]
fn lines_of_the_file_are_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::open(10, Some(&path)).unwrap();
    journal.record(entry(Some("a"), true));
    journal.record(entry(None, false));
    let text = std::fs::read_to_string(&path).unwrap();
    let read: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, journal.entries(0, 10));
    assert!(Journal::open(1, Some(folder.path())).is_err(), "a folder is no file");
}
