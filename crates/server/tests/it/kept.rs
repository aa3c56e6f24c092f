//! Kept states over HTTP: which there are, going back to one, and a new task that begins at one.

use event::TaskId;
use serde_json::{Value, json};
use server::{HttpLimits, RunnerLimits};
use testkit::{ModelServer, Turn};

use crate::door::{Door, door_before, ended, get, post};

/// Two turns that write; whoever is asked a third time is done, in words of its own.
fn writing() -> Door {
    let write = |content: &str| Turn::call("file_write", &json!({ "path": "a", "content": content }));
    let turns = vec![write("one"), write("two"), Turn::say("done")];
    door_before(ModelServer::playing(turns).unwrap(), RunnerLimits::default(), HttpLimits::default())
}

async fn rested(door: &Door, id: &TaskId) {
    tokio::task::block_in_place(|| {
        door.rig.until(id, "done");
        crate::rig::until("nobody has it", || door.rig.runner.place(id).is_none());
    });
}

async fn file(door: &Door, id: &str) -> String {
    String::from_utf8(get(door, &format!("/v1/tasks/{id}/files/a")).await.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_goes_back_over_http() {
    let door = writing();
    let id = ended(&door).await;
    rested(&door, &id).await;
    let listed = get(&door, &format!("/v1/tasks/{id}/checkpoints")).await.json();
    let numbers: Vec<_> = listed["checkpoints"].as_array().unwrap().iter().map(|one| one["number"].clone()).collect();
    assert_eq!((numbers, &listed["missed"]), (vec![json!(1), json!(2)], &Value::Null));
    let told = post(&door, &format!("/v1/tasks/{id}/restore"), json!({ "checkpoint": 1 })).await;
    assert_eq!((told.status, told.json()["state"].as_str()), (200, Some("done")), "{}", told.json());
    assert_eq!(file(&door, id.as_str()).await, "one");
    let told = post(&door, &format!("/v1/tasks/{id}/restore"), json!({ "checkpoint": 7 })).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (404, Some("/v1/problems#no-such-checkpoint")));
    let told = post(&door, "/v1/tasks/t-none/restore", json!({ "checkpoint": 1 })).await;
    assert_eq!(told.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_another_way_over_http() {
    let door = writing();
    let id = ended(&door).await;
    let path = format!("/v1/tasks/{id}/fork");
    let told = post(&door, &path, json!({ "checkpoint": 1, "message": "otherwise" })).await;
    assert_eq!(told.status, 201, "{}", told.json());
    let new = told.json();
    let name = new["id"].as_str().unwrap().to_owned();
    assert_eq!(told.headers["location"], format!("/v1/tasks/{name}"));
    assert_eq!((&new["forked_from"]["task"], &new["forked_from"]["checkpoint"]), (&json!(id), &json!(1)));
    assert_eq!(new["unpriced_calls"], 0);
    rested(&door, &TaskId::new(name.as_str()).unwrap()).await;
    assert_eq!((file(&door, &name).await, file(&door, id.as_str()).await), ("two".to_owned(), "two".to_owned()));
    let asked = String::from_utf8(door.rig.server.seen().pop().unwrap().body).unwrap();
    assert!(asked.contains("otherwise"), "{asked}");
    for (wrong, status) in
        [(json!({ "checkpoint": 9 }), 404), (json!({ "checkpoint": 1, "message": " " }), 422), (json!({}), 422)]
    {
        assert_eq!(post(&door, &path, wrong).await.status, status);
    }
    assert_eq!(get(&door, &format!("/v1/tasks/{id}")).await.json()["forked_from"], Value::Null);
}
