//! What killed processes left behind: looked for, and left to `thenar clean`, the next task or the next server to take away.

use agent::Left;

use server::Seen;

use super::Finding;
use crate::commands::computer;
use crate::{config, env, house};

/// Nothing where the configuration does not let it be found out: another finding says so.
pub(crate) fn finding() -> Option<Finding> {
    let instance = house::open(&config::read().ok()?).ok()?;
    let commands = computer::count_left(instance.home().path());
    Some(told(&instance.left(env::now_ms()), commands))
}

fn told(left: &Left, commands: usize) -> Finding {
    const NAME: &str = "left behind";
    match words(left, commands) {
        None => Finding::good(NAME, Seen::NothingLeft, "nothing by processes that were killed"),
        Some(words) => {
            let seen = Seen::Left {
                computers: left.computers as u64,
                commands: commands as u64,
                sockets: left.sockets as u64,
                half_done: left.half_done as u64,
                groups: left.groups as u64,
                checkpoints: left.checkpoints as u64,
            };
            Finding::poor(NAME, seen, format!("{words}, by processes that were killed"), "thenar clean")
        }
    }
}

/// What it is, in words; nothing if there is none.
pub(crate) fn words(left: &Left, commands: usize) -> Option<String> {
    let parts = [
        (left.computers, "computer of a task that is over", "computers of tasks that are over"),
        (commands, "computer of `thenar computer exec`", "computers of `thenar computer exec`"),
        (left.sockets, "socket at which nobody answers", "sockets at which nobody answers"),
        (left.half_done, "task half made or half removed", "tasks half made or half removed"),
        (left.groups, "control group", "control groups"),
        (
            left.checkpoints,
            "task with checkpoints that its record does not name",
            "tasks with checkpoints that their records do not name",
        ),
    ];
    let some = parts.iter().filter(|(count, ..)| *count > 0);
    let all: Vec<String> =
        some.map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many })).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_the_command_that_clears_it() {
        assert!(told(&Left::default(), 0).works);
        let found = told(&Left { computers: 1, sockets: 2, half_done: 0, groups: 3, checkpoints: 1 }, 1);
        assert_eq!(
            found.what,
            "1 computer of a task that is over, 1 computer of `thenar computer exec`, 2 sockets at which nobody answers, \
             3 control groups, 1 task with checkpoints that its record does not name, by processes that were killed"
        );
        assert!(!found.works && !found.needed && found.fix == "thenar clean", "{found:?}");
    }
}
