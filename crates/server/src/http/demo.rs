//! The demo: a task that a script plays, for whoever has no model yet.

use std::sync::Arc;

use agent::Input;
use axum::extract::State;
use axum::http::HeaderMap;

use super::problem::{Answer, Demonstrating, Kind, Problem};
use super::shown::Task;
use super::tasks::{Keyed, create_with, key_of};
use super::upload::Incoming;
use super::wanted::Wanted;
use super::{Shared, blocking};

/// Begin the demo
///
/// A task over data that comes with the program. A script written beforehand plays the model, so it needs none; the computer, the
/// data and the figures are real. It asks once about a host: the answer is yours. Needs the toolset.
#[utoipa::path(post, path = "/v1/demo", operation_id = "beginDemo", tag = "tasks", params(Keyed),
    responses(
        (status = 201, description = "The task was made.", body = Task,
            headers(("Location" = String, description = "Where the task is."))),
        (status = 200, description = "This key has made the task already; here it is.", body = Task,
            headers(("Location" = String, description = "Where the task is."))),
        Demonstrating,
    ))]
pub(super) async fn begin(State(shared): State<Shared>, headers: HeaderMap) -> Answer {
    let key = key_of(&headers)?;
    let Ok(_place) = Arc::clone(&shared.uploads).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many files are being received", "ask again in a moment"));
    };
    let app = Arc::clone(&shared.app);
    let (wanted, inputs, folder) = blocking(move || {
        let demo = app.house.demo()?;
        let folder = Incoming::make(app.instance.home().path())?;
        let mut inputs = Vec::new();
        for (name, bytes) in demo.files {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).map_err(|error| Problem::io("write the demo's data", &error))?;
            inputs.push(Input::Move(path));
        }
        let wanted = Wanted { task: demo.task, model: Some(demo.model), ..Wanted::default() };
        Ok((wanted, inputs, folder))
    })
    .await?;
    let answer = create_with(&shared, key, wanted, inputs).await;
    drop(folder);
    answer
}
