//! `thenar clean`: takes away what killed processes left behind, and says what it was. No task, record or file is touched.

use crate::checks::leftovers;
use crate::commands::computer;
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Screen, data};
use crate::{config, env, house};

/// `thenar clean`.
pub(crate) fn clean(screen: Screen) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let mut cleared = instance.clear_left(env::now_ms());
    let (tidied, failed) = instance.tidy_all_checkpoints();
    cleared.checkpoints += tidied;
    let commands = computer::clear_left(instance.home().path());
    match leftovers::words(&cleared, commands) {
        Some(words) => data(&format!("cleared: {words}")),
        None => screen.say("Nothing is left behind."),
    }
    let failures = failed.len();
    for (id, error) in failed {
        let because = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        screen.problem(&Problem {
            message: format!("clear away checkpoints of task {id}: {error}{because}"),
            ..house::about(&id)(error)
        });
    }
    Ok(if failures > 0 { Code::Failed } else { Code::Done })
}
