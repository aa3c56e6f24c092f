//! `thenar journal …`: read, verify and export the record of a task.

use std::path::Path;

use event::Event;
use journal::{Blobs, Reader, Report, Verdict};

use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, config, house, screen, words};

/// Characters of an event's payload on its line.
const PAYLOAD_CHARS: usize = 160;

/// `thenar journal show`.
pub(crate) fn show(id: &str, json: bool) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let id = house::find(&instance, id)?;
    for recorded in instance.events(&id).map_err(house::about(&id))? {
        let event = serde_json::to_value(&recorded.event).unwrap_or_default();
        if json {
            screen::json(&serde_json::json!({ "seq": recorded.seq, "time_ms": recorded.time_ms, "event": event }));
        } else {
            let mut event = event;
            if let Some(map) = event.as_object_mut() {
                map.remove("event");
            }
            if let Event::ConnectionClosed { closed } = &recorded.event {
                say_unknown(&mut event["closed"], closed);
            }
            let (kind, time) = (recorded.event.kind(), words::moment(recorded.time_ms));
            let payload = clean::line(&event.to_string(), PAYLOAD_CHARS);
            data(&format!("{:>5} {time} {kind:<20} {payload}", recorded.seq));
        }
    }
    Ok(Code::Done)
}

/// Says of a connection's end what nobody knows of it: how much passed on one that was cut with the engine that carried it. Older
/// records have a nought there.
fn say_unknown(shown: &mut serde_json::Value, closed: &event::Closed) {
    let engine_gone = closed.refused.as_ref().is_some_and(|refused| refused.rule == "egress.engine_gone");
    for (field, known) in [("bytes_up", closed.bytes_up), ("bytes_down", closed.bytes_down), ("ms", closed.ms)] {
        if known.is_none() || engine_gone {
            shown[field] = "unknown".into();
        }
    }
}

/// `thenar journal verify`.
pub(crate) fn verify(id_or_file: &str, screen: Screen) -> Outcome {
    let path = Path::new(id_or_file);
    let verdict = if path.is_file() {
        journal::verify_bundle_file(path)
    } else {
        let instance = house::open(&config::read()?)?;
        let id = house::find(&instance, id_or_file)
            .map_err(|problem| problem.hint(format!("nor is there a file {id_or_file}")))?;
        journal::verify_folder(instance.folder(&id)?.root())
    };
    match verdict.map_err(agent::Error::from)? {
        Verdict::Whole(report) => {
            data(&sound(&report));
            Ok(Code::Done)
        }
        Verdict::Broken { place, what } => {
            data(&format!("bad: {place}: {}", clean::line(&what, 400)));
            screen.say(&screen.paint(Look::Bad, "This journal was changed or damaged after it was written."));
            Ok(Code::Corrupt)
        }
    }
}

/// A record that verifies, in a line.
pub(crate) fn sound(report: &Report) -> String {
    let head = journal::hex(&report.head);
    format!("ok: task {}, {} records, {} blobs, head {head}", report.task, report.records, report.blobs)
}

/// `thenar journal export`.
pub(crate) fn export(id: &str, file: &Path, screen: Screen) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let id = house::find(&instance, id)?;
    let folder = instance.folder(&id)?;
    if file.exists() {
        return Err(Problem::new(Code::Usage, format!("{} is there already: name another file", file.display())));
    }
    let wrong = |error: journal::Error| house::about(&id)(error.into());
    let mut reader = Reader::open(folder.root()).map_err(wrong)?;
    let report = journal::export_to_file(&mut reader, &Blobs::open(folder.root()), file).map_err(wrong)?;
    screen.say(&format!("Written to {}. Anybody can check it: python3 docs/verify_journal.py FILE", file.display()));
    data(&sound(&report));
    Ok(Code::Done)
}
