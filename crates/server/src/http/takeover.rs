//! Taking a part of the task's computer over, and handing it back. Both are on the record; what the person does in between
//! goes through the routes of that part.

use agent::{Because, Command};
use axum::Json;
use axum::extract::{Path, State};
use event::{ComputerPart, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Said, task_id};
use super::hands::{Hand, Handed, Whose};
use super::problem::{Answer, Problem, TakingOver, WithBodyOfTask, WithQueryOfTask};
use super::say::{Heard, tell};
use super::tasks::summary;
use super::{Shared, browser, terminals};

const NOTE_CHARS_MAX: usize = 10_000;

/// What is to be in the person's hands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeOver {
    what: ComputerPart,
}

/// What is said when it is handed back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandBack {
    /// A word for the agent: what was done, and how to go on.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    note: String,
}

/// Take a part of the computer over
///
/// The agent finishes what it has begun, then waits until it is handed back. One part at a time; twice is once, but for another
/// window (`Thenar-Hand`).
#[utoipa::path(post, path = "/v1/tasks/{id}/takeover", operation_id = "takeOver", tag = "control",
    params(("id" = TaskId, Path), Handed), request_body = TakeOver,
    responses((status = 202, description = "It is in the person's hands.", body = Heard), TakingOver))]
pub(super) async fn take(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hand: Hand,
    Said(said): Said<TakeOver>,
) -> Answer {
    let id = task_id(&name)?;
    let again = summary(&shared, &id).await?.taken_over.is_some();
    if again {
        shared.hands.check(&id, &hand)?;
    }
    let page = match &said.what {
        ComputerPart::Terminal { name } => {
            terminals::open_one(&shared, &id, name).await?;
            None
        }
        ComputerPart::Browser => browser::seen(&shared, &id).await,
    };
    let browser = said.what == ComputerPart::Browser;
    // Before it is on the record: another window that reads of it there asks at once whose it is.
    shared.hands.take(&id, &hand);
    let told = tell(&shared, id.clone(), Command::TakeOver { what: said.what, page }).await;
    if told.is_err() && !again {
        shared.hands.let_go(&id);
    }
    let answer = told?;
    if browser {
        browser::begin(&shared, &id).await;
    }
    Ok(answer)
}

/// Hand it back
///
/// The agent reads the note, and goes on.
#[utoipa::path(post, path = "/v1/tasks/{id}/handback", operation_id = "handBack", tag = "control",
    params(("id" = TaskId, Path)), request_body = HandBack,
    responses((status = 202, description = "The agent has it back.", body = Heard), WithBodyOfTask))]
pub(super) async fn hand_back(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(said): Said<HandBack>,
) -> Answer {
    let id = task_id(&name)?;
    if said.note.chars().count() > NOTE_CHARS_MAX {
        let wrong = Problem::invalid(format!("note is longer than {NOTE_CHARS_MAX} characters"));
        return Err(wrong.because(Because::NoteTooLong));
    }
    let page = match summary(&shared, &id).await?.taken_over {
        Some(ComputerPart::Browser) => browser::seen(&shared, &id).await,
        Some(ComputerPart::Terminal { .. }) | None => None,
    };
    let answer = tell(&shared, id.clone(), Command::HandBack { note: said.note, page }).await?;
    shared.hands.let_go(&id);
    Ok(answer)
}

/// In whose hands it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InHands {
    hand: Whose,
}

/// Whose hands the computer is in
///
/// Several windows can look at a task whose browser or terminal was taken over; one of them has it (`Thenar-Hand`).
#[utoipa::path(get, path = "/v1/tasks/{id}/hand", operation_id = "whoseHand", tag = "control",
    params(("id" = TaskId, Path), Handed),
    responses((status = 200, description = "Whose it is.", body = InHands), WithQueryOfTask))]
pub(super) async fn whose(State(shared): State<Shared>, Path(name): Path<String>, hand: Hand) -> Answer<Json<InHands>> {
    let id = task_id(&name)?;
    summary(&shared, &id).await?;
    Ok(Json(InHands { hand: shared.hands.whose(&id, &hand) }))
}
