//! A hundred thousand records: still a chain, still quick to find one's place in. Speed itself is the bench's business.

use journal::{Draft, Reader, Writer};

#[test]
fn a_hundred_thousand_records_replay() {
    const RECORDS: u64 = 100_000;
    let home = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(home.path(), "task").unwrap();
    for group in 0..RECORDS / 500 {
        let draft = |i: u64| Draft::new(group, "tick", format!("{{\"step\":{}}}", group * 500 + i));
        writer.append(&(1..=500).map(draft).collect::<Vec<_>>()).unwrap();
    }
    let head = writer.head();
    drop(writer);
    let mut seen = 0;
    let mut reader = Reader::open(home.path()).unwrap();
    let replayed = reader.replay(|record| {
        seen += 1;
        assert_eq!(record.payload, format!("{{\"step\":{seen}}}").into_bytes());
        Ok::<_, journal::Error>(())
    });
    assert_eq!((replayed.unwrap(), seen, head.seq), (head, RECORDS, RECORDS));
    assert_eq!(reader.records(70_000, 1).unwrap()[0].payload, b"{\"step\":70000}");
}
