//! The person's answers at the terminal. One reader for the whole run: a question may be answered through another door
//! while somebody still types here, and no line may then count for the question after it unseen. It prints nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::Command;
use event::EffectId;
use tokio::sync::mpsc;

/// What the person is asked right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Whether this effect may happen.
    Approval(EffectId),
    /// Something that they answer in words.
    Question,
}

/// Turns lines into commands for the loop.
#[derive(Debug)]
pub(crate) struct Answers {
    commands: mpsc::Sender<Command>,
    asked: Arc<Mutex<Option<Asked>>>,
    reading: bool,
}

impl Answers {
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands, asked: Arc::default(), reading: false }
    }

    /// The next line answers this; false if that is what is asked already.
    pub(crate) fn ask(&mut self, asked: Asked) -> bool {
        if !self.reading {
            self.reading = true;
            // What was typed before anything was asked answers nothing.
            let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
            self.read();
        }
        let before = lock(&self.asked).replace(asked);
        before != Some(asked)
    }

    /// It has been answered: lines mean nothing until something is asked again. True if it was not answered here.
    pub(crate) fn settled_elsewhere(&self) -> bool {
        lock(&self.asked).take().is_some()
    }

    /// Reading blocks; the loop goes on hearing other doors meanwhile.
    fn read(&self) {
        let (commands, asked) = (self.commands.clone(), Arc::clone(&self.asked));
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                let command = match lock(&asked).take() {
                    None => continue,
                    Some(asked) => answer(asked, line.trim()),
                };
                if commands.blocking_send(command).is_err() {
                    return;
                }
            }
        });
    }
}

fn answer(asked: Asked, line: &str) -> Command {
    match asked {
        Asked::Approval(effect) => {
            let allowed = matches!(line.to_lowercase().as_str(), "y" | "yes" | "j" | "ja" | "是");
            Command::Confirm { effect: Some(effect), allowed, note: String::new() }
        }
        Asked::Question => Command::Message { text: line.to_owned() },
    }
}

fn lock(asked: &Mutex<Option<Asked>>) -> MutexGuard<'_, Option<Asked>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one_and_it_is_bound_to_its_effect() {
        for (line, allowed) in [("y", true), ("YES", true), ("", false), ("n", false), ("yes please", false)] {
            let expected = Command::Confirm { effect: Some(EffectId(7)), allowed, note: String::new() };
            assert_eq!(answer(Asked::Approval(EffectId(7)), line), expected, "{line:?}");
        }
        assert_eq!(answer(Asked::Question, "y"), Command::Message { text: "y".to_owned() });
    }
}
