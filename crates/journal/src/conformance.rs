//! The laws of a store as one function, run by every implementation's tests. It looks at no file.

use crate::{Blobs, Chain, Draft, Error, Reader, Record, Result, Store, Writer};

const TASK: &str = "conformance";

/// Panics with the law that does not hold. `fresh` makes an empty store for the task it is told.
pub fn check(fresh: &mut dyn FnMut(&str) -> Result<Box<dyn Store>>) -> Result<()> {
    rows_come_back_as_they_were(&mut *fresh(TASK)?)?;
    an_append_elsewhere_changes_nothing(&mut *fresh(TASK)?)?;
    other_handles_see_what_was_appended(&mut *fresh(TASK)?)?;
    the_writer_numbers_and_times(fresh(TASK)?)?;
    a_reader_finds_its_place(fresh(TASK)?)?;
    a_follower_misses_nothing(fresh(TASK)?)
}

fn sealed(count: u64) -> Result<Vec<Record>> {
    let mut chain = Chain::new(TASK);
    let payload = |i: u64| -> Vec<u8> { (0..i * 37 % 500).map(|byte| byte as u8).collect() };
    (1..=count)
        .map(|i| chain.seal(&Draft::new(1_000 + i, format!("kind.{}", i % 3), payload(i)), [i as u8; 16]))
        .collect()
}

fn rows_come_back_as_they_were(store: &mut dyn Store) -> Result<()> {
    assert_eq!(store.task(), TASK, "a store knows its task");
    assert_eq!(store.last()?, None, "a fresh store is empty");
    assert_eq!(collect(store, 1, usize::MAX)?, [], "a fresh store hands out nothing");
    let rows = sealed(40)?;
    store.append(&rows[..1])?;
    store.append(&rows[1..30])?;
    store.append(&[])?;
    store.append(&rows[30..])?;
    assert_eq!(collect(store, 1, usize::MAX)?, rows, "rows come back in order, as they were");
    assert_eq!(collect(store, 39, 10)?, rows[38..], "a read begins where it is told");
    assert_eq!(collect(store, 5, 3)?, rows[4..7], "a read ends where it is told");
    assert_eq!(collect(store, 41, 10)?, [], "nothing stands after the last row");
    assert_eq!(store.last()?.as_ref(), rows.last(), "the last row is the last row");
    let mut seen = 0;
    let stopped = store.read(1, 40, &mut |record| {
        seen = record.seq;
        if record.seq == 7 { Err(Error::OutOfOrder { seq: 7, next: 0 }) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(Error::OutOfOrder { seq: 7, .. })), "the error of a reader comes out");
    assert_eq!(seen, 7, "the error of a reader ends the read");
    Ok(())
}

fn an_append_elsewhere_changes_nothing(store: &mut dyn Store) -> Result<()> {
    let rows = sealed(6)?;
    store.append(&rows[..3])?;
    let wrong: [&[Record]; 3] = [&rows[4..], &rows[2..4], &[rows[3].clone(), rows[5].clone()]];
    for records in wrong {
        let refused = store.append(records);
        assert!(matches!(refused, Err(Error::OutOfOrder { .. })), "an append elsewhere than at the end is refused");
        assert_eq!(collect(store, 1, 10)?, rows[..3], "a refused append leaves nothing behind");
    }
    store.append(&rows[3..])?;
    assert_eq!(collect(store, 1, 10)?, rows, "after a refusal the right rows are taken");
    Ok(())
}

fn other_handles_see_what_was_appended(store: &mut dyn Store) -> Result<()> {
    let rows = sealed(4)?;
    let mut source = store.source()?;
    assert_eq!(source.task(), TASK, "a source knows the task");
    let before = source.version()?;
    assert_eq!(source.version()?, before, "a version stays while nothing is appended");
    store.append(&rows[..2])?;
    let after = source.version()?;
    assert_ne!(before, after, "a version changes with an append elsewhere");
    let mut seen = Vec::new();
    source.read(1, 10, &mut |record| {
        seen.push(record);
        Ok(())
    })?;
    assert_eq!(seen, rows[..2], "another handle sees what was appended");
    store.append(&rows[2..])?;
    assert_ne!(after, source.version()?, "a version changes with every append");
    assert_eq!(source.last()?.as_ref(), rows.last(), "another handle sees the last row");
    Ok(())
}

fn the_writer_numbers_and_times(store: Box<dyn Store>) -> Result<()> {
    let mut writer = Writer::over(store, Blobs::in_memory())?;
    assert_eq!(writer.head(), Chain::new(TASK).head(), "an empty journal ends at its genesis");
    let one = writer.append(&[Draft::new(500, "first", "a")])?;
    let more = writer.append(&[Draft::new(400, "second", "b"), Draft::new(600, "third", vec![0, 255])])?;
    let all: Vec<Record> = one.into_iter().chain(more).collect();
    assert_eq!(all.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3], "numbers count from 1");
    assert_eq!(all.iter().map(|record| record.time_ms).collect::<Vec<_>>(), [500, 500, 600], "times never go back");
    let refused = writer.append(&[Draft::new(700, "fourth", "d"), Draft::new(700, "not a kind", "e")]);
    assert!(matches!(refused, Err(Error::BadName { .. })), "a kind is a plain name");
    assert_eq!(writer.head().seq, 3, "a refused append leaves nothing behind");
    let mut reader = writer.reader()?;
    assert_eq!(reader.records(1, 10)?, all, "what append returned is what was kept");
    assert_eq!(reader.head()?, writer.head(), "reader and writer agree on the head");
    writer.sync_handle().sync()
}

fn a_reader_finds_its_place(store: Box<dyn Store>) -> Result<()> {
    let mut writer = Writer::over(store, Blobs::in_memory())?;
    let drafts: Vec<Draft> = (0..200).map(|i| Draft::new(i, "tick", i.to_string())).collect();
    let all = writer.append(&drafts)?;
    let mut reader = writer.reader()?;
    assert_eq!(reader.records(0, 2)?, all[..2], "before the start is the start");
    assert_eq!(reader.records(100, 50)?, all[99..149], "records from the middle");
    assert_eq!(reader.records(200, 50)?, all[199..], "the last record");
    assert_eq!(reader.records(201, 50)?, [], "after the last record");
    assert_eq!(reader.records(400, 50)?, [], "far after the last record");
    let mut seen = Vec::new();
    let head = reader.replay(|record| {
        seen.push(record);
        Ok::<_, Error>(())
    })?;
    assert_eq!((seen, head), (all, writer.head()), "a replay sees everything once");
    Ok(())
}

fn a_follower_misses_nothing(store: Box<dyn Store>) -> Result<()> {
    let mut writer = Writer::over(store, Blobs::in_memory())?;
    let mut reader: Reader = writer.reader()?;
    assert_eq!(reader.follow(10)?, [], "nothing to follow yet");
    let first = writer.append(&[Draft::new(1, "a", ""), Draft::new(2, "b", ""), Draft::new(3, "c", "")])?;
    assert_eq!(reader.follow(2)?, first[..2], "a follower takes what it asks for");
    assert_eq!(reader.follow(2)?, first[2..], "and then the rest");
    assert_eq!(reader.follow(2)?, [], "and nothing twice");
    let second = writer.append(&[Draft::new(4, "d", "")])?;
    assert_eq!(reader.follow(2)?, second, "a follower sees what came later");
    reader.follow_after(2)?;
    assert_eq!(reader.follow(10)?, [&first[2..], &second[..]].concat(), "a follower goes back where it is told");
    Ok(())
}

fn collect(store: &mut dyn Store, from_seq: u64, limit: usize) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    store.read(from_seq, limit, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}
