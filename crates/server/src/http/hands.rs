//! In whose hands a part of a computer is, where several windows are open: whoever took it over, and until it is handed back
//! nobody else. Kept in memory only: after a restart the first to act has it. A caller who does not say who they are is let through.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent::Because;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use event::TaskId;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

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

/// The name of whoever asks, where they gave one.
pub(super) struct Hand(Option<String>);

impl<S: Sync> FromRequestParts<S> for Hand {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let fits = |name: &&str| {
            (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let name = value.to_str().ok().filter(fits);
        let wrong = || Problem::invalid(format!("Thenar-Hand is 1 to {NAME_BYTES_MAX} letters, digits and signs"));
        Ok(Self(Some(name.ok_or_else(wrong)?.to_owned())))
    }
}

/// In whose hands a part of the computer is that was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// The window's that asks.
    Yours,
    /// Another window's: what this one does is refused.
    Others,
    /// No window's: whoever acts first has it.
    Nobodys,
}

/// Who has what.
#[derive(Debug, Default)]
pub(super) struct Hands(Mutex<HashMap<TaskId, String>>);

impl Hands {
    /// It is theirs from here on.
    pub(super) fn take(&self, id: &TaskId, Hand(name): &Hand) {
        let mut hands = self.hands();
        if hands.len() >= HANDS_MAX {
            hands.clear();
        }
        match name {
            Some(name) => drop(hands.insert(id.clone(), name.clone())),
            None => drop(hands.remove(id)),
        }
    }

    /// Refuses whoever has not taken it over; what is nobody's is theirs from here on.
    pub(super) fn check(&self, id: &TaskId, hand: &Hand) -> Answer<()> {
        let Some(name) = &hand.0 else { return Ok(()) };
        let theirs = self.hands().get(id).is_none_or(|has| has == name);
        if theirs {
            self.take(id, hand);
            return Ok(());
        }
        let hint = "go on there; or hand it back, and take it over here";
        Err(Problem::new(Kind::NotNow, "another window has it in hand", hint).because(Because::OtherWindow))
    }

    /// In whose hands it is, as the asker sees it.
    pub(super) fn whose(&self, id: &TaskId, Hand(name): &Hand) -> Whose {
        match self.hands().get(id) {
            None => Whose::Nobodys,
            Some(has) if name.as_ref() == Some(has) => Whose::Yours,
            Some(_) => Whose::Others,
        }
    }

    pub(super) fn let_go(&self, id: &TaskId) {
        self.hands().remove(id);
    }

    fn hands(&self) -> MutexGuard<'_, HashMap<TaskId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
