//! `thenar clean`: takes away what killed processes left behind, and says what it was. No task, record or file is touched.

use crate::checks::leftovers;
use crate::commands::computer;
use crate::exit::{Code, Outcome};
use crate::screen::{Screen, data};
use crate::{config, env, house};

/// `thenar clean`.
pub(crate) fn clean(screen: Screen) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let mut cleared = instance.clear_left(env::now_ms());
    cleared.checkpoints += instance.tidy_all_checkpoints();
    let commands = computer::clear_left(instance.home().path());
    match leftovers::words(&cleared, commands) {
        Some(words) => data(&format!("cleared: {words}")),
        None => screen.say("Nothing is left behind."),
    }
    Ok(Code::Done)
}
