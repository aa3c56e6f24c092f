//! In whose hands a part of a computer is, where several windows are open: whoever took it over, and until it is handed back
//! nobody else. Kept in memory only: after a restart the first to act has it. A caller who does not say who they are is let through.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use event::TaskId;
use utoipa::IntoParams;

use super::extract::header_text;
use super::problem::{Answer, Kind, Problem};

const HEADER: &str = "thenar-hand";
const NAME_BYTES_MAX: usize = 64;
/// Beyond that all are forgotten: whoever acts next has what they act upon.
const HANDS_MAX: usize = 10_000;

/// Who asks, where several could.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Handed {
    /// A name for the caller's window, chosen by it: what one has taken over is refused to others.
    #[param(rename = "Thenar-Hand", pattern = "^[!-~]{1,64}$")]
    _hand: Option<String>,
}

/// Who has what.
#[derive(Debug, Default)]
pub(super) struct Hands(Mutex<HashMap<TaskId, String>>);

impl Hands {
    /// It is theirs from here on.
    pub(super) fn take(&self, id: &TaskId, headers: &HeaderMap) {
        let mut hands = self.hands();
        if hands.len() >= HANDS_MAX {
            hands.clear();
        }
        match name(headers) {
            Some(name) => drop(hands.insert(id.clone(), name.to_owned())),
            None => drop(hands.remove(id)),
        }
    }

    /// Refuses whoever has not taken it over; what is nobody's is theirs from here on.
    pub(super) fn check(&self, id: &TaskId, headers: &HeaderMap) -> Answer<()> {
        let Some(name) = name(headers) else { return Ok(()) };
        let theirs = self.hands().get(id).is_none_or(|has| has == name);
        if theirs {
            self.take(id, headers);
            return Ok(());
        }
        let hint = "go on there; or hand it back, and take it over here";
        Err(Problem::new(Kind::NotNow, "another window has it in hand", hint))
    }

    pub(super) fn let_go(&self, id: &TaskId) {
        self.hands().remove(id);
    }

    fn hands(&self) -> MutexGuard<'_, HashMap<TaskId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(headers: &HeaderMap) -> Option<&str> {
    header_text(headers, HEADER).filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))
}
