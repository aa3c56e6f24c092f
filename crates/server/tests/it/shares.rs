//! Links to a task: what they show, what they never show, and what somebody gets who tries more with one.

use axum::http::header;
use event::TaskId;
use serde_json::{Value, json};
use server::{App, HttpLimits, RunnerLimits, app};
use testkit::{ModelServer, Turn};

use crate::door::{Door, Told, WITHHELD, ask, door_before, ended, get, post, request};

const PAGE: &str = "<!doctype html><title>Report</title><h1>Figures</h1><p>All is well with the three of them.</p>";

/// A task that says secrets and paths, keeps a file to itself and hands one over.
async fn shown(http: HttpLimits) -> (Door, TaskId) {
    let told = format!("printf %s '{WITHHELD} /home/anna/notes sk-proj-abcdefghijklmnopqrstuv'");
    let model = ModelServer::playing(vec![
        Turn::call("shell_exec", &json!({"command": told})),
        Turn::call("file_write", &json!({"path": "kept.txt", "content": "for me alone"})),
        Turn::call("file_write", &json!({"path": "report.html", "content": PAGE})),
        Turn::call(
            "deliver",
            &json!({"files": [{"path": "report.html", "description": format!("Made with {WITHHELD}")}]}),
        ),
        Turn::say(&format!("The key is {WITHHELD}.")),
    ]);
    let door = door_before(model.unwrap(), RunnerLimits::default(), http);
    let id = ended(&door).await;
    (door, id)
}

async fn link(door: &Door, id: &TaskId, what: &str) -> (String, String) {
    let told = post(door, &format!("/v1/tasks/{id}/shares"), json!({"what": what, "expires": "7d"})).await;
    assert_eq!(told.status, 201, "{}", told.json());
    let made = told.json();
    let key = made["path"].as_str().unwrap().strip_prefix("/shared/").unwrap().to_owned();
    (key, made["share"]["id"].as_str().unwrap().to_owned())
}

/// Asks as somebody who has nothing but a link.
async fn guest(door: &Door, path: &str) -> Told {
    ask(door, request(door, "GET", path, &[("authorization", "")], None)).await
}

fn kinds(events: &Value) -> Vec<&str> {
    events["events"].as_array().unwrap().iter().map(|line| line["event"]["event"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_the_outputs_or_everything_and_no_secret() {
    let (door, id) = shown(HttpLimits::default()).await;
    let (outputs, _) = link(&door, &id, "outputs").await;
    let (everything, _) = link(&door, &id, "everything").await;
    let few = guest(&door, &format!("/v1/shared/{outputs}/events?limit=2000")).await.json();
    let all = guest(&door, &format!("/v1/shared/{everything}/events?limit=2000")).await.json();
    let own = get(&door, &format!("/v1/tasks/{id}/events?limit=2000")).await.json();
    assert_eq!(kinds(&all), kinds(&own));
    assert_eq!((&few["next"], &few["last_seq"]), (&Value::Null, &own["last_seq"]));
    assert_eq!(kinds(&few), ["task_created", "tool_finished", "model_replied", "task_ended"]);
    assert!(few.to_string().contains("report.html") && !few.to_string().contains("kept.txt"));
    assert!(all.to_string().contains("kept.txt") && all.to_string().contains("printf"));
    assert!(own.to_string().contains(WITHHELD) && own.to_string().contains("/home/anna"));
    let home = door.rig.folder.path().to_string_lossy().into_owned();
    assert!(own.to_string().contains(&home));
    for told in [few.to_string(), all.to_string()] {
        for secret in [WITHHELD, door.token.as_str(), "/home/anna", "sk-proj-", home.as_str()] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert!(told.contains("The key is •••."));
    }
    let about = guest(&door, &format!("/v1/shared/{outputs}")).await.json();
    assert_eq!((about["state"].as_str(), about["what"].as_str()), (Some("done"), Some("outputs")));
    let file = &about["deliverables"][0];
    assert_eq!((file["name"].as_str(), file["description"].as_str()), (Some("report.html"), Some("Made with •••")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_gives_what_was_handed_over_and_no_other_file() {
    let (door, id) = shown(HttpLimits::default()).await;
    let (key, _) = link(&door, &id, "everything").await;
    let told = guest(&door, &format!("/v1/shared/{key}/deliverables/report.html")).await;
    assert_eq!((told.status, String::from_utf8_lossy(&told.body).as_ref()), (200, PAGE));
    assert!(told.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    let told = guest(&door, &format!("/v1/shared/{key}/pages/report.html")).await;
    let policy = told.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(told.status == 200 && policy.starts_with("sandbox; default-src 'none'"), "{policy}");
    for path in [
        "deliverables/kept.txt",
        "deliverables/../kept.txt",
        "deliverables/%2e%2e/kept.txt",
        "deliverables/..%2f..%2f..%2faccess-token",
        "deliverables/%2fetc%2fpasswd",
        "deliverables//etc/passwd",
        "pages/kept.txt",
        "pages/..%2freport.html",
        "files",
        "files/kept.txt",
        "record",
        "messages",
        "shares",
        "confirm",
        "..",
        "../../tasks",
        "%2e%2e/tasks",
    ] {
        let told = guest(&door, &format!("/v1/shared/{key}/{path}")).await;
        assert_eq!(told.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_changes_nothing_and_opens_no_other_door() {
    let (door, id) = shown(HttpLimits::default()).await;
    let (key, share) = link(&door, &id, "everything").await;
    let body = json!({});
    for path in ["", "/events", "/deliverables/report.html", "/pages/report.html"] {
        for verb in ["POST", "PUT", "PATCH", "DELETE"] {
            let path = format!("/v1/shared/{key}{path}");
            let told = ask(&door, request(&door, verb, &path, &[("authorization", "")], Some(&body))).await;
            assert_eq!(told.status, 405, "{verb} {path}");
        }
    }
    let bearer = format!("Bearer {key}");
    let cookie = format!("thenar_token={key}");
    for (name, value) in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
        for path in ["/v1/tasks".to_owned(), format!("/v1/tasks/{id}"), format!("/v1/tasks/{id}/shares")] {
            let told = ask(&door, request(&door, "GET", &path, &[("authorization", ""), (name, value)], None)).await;
            assert_eq!(told.status, 401, "{name} {path}");
        }
    }
    let told = ask(&door, request(&door, "GET", &format!("/?token={key}"), &[("authorization", "")], None)).await;
    assert!(told.headers.get(header::SET_COOKIE).is_none());
    for wrong in [share.as_str(), id.as_str(), "", "%00", &key[1..], &format!("{key}0"), &key.to_uppercase()] {
        let told = guest(&door, &format!("/v1/shared/{wrong}/events")).await;
        assert_eq!(told.status, 404, "{wrong:?}");
    }
    let from_elsewhere = [("authorization", ""), ("origin", "http://evil.example")];
    let told = ask(&door, request(&door, "GET", &format!("/v1/shared/{key}"), &from_elsewhere, None)).await;
    assert_eq!(told.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_when_it_runs_out_is_taken_back_or_its_task_is_gone() {
    let (door, id) = shown(HttpLimits::default()).await;
    let (first, share) = link(&door, &id, "outputs").await;
    let (second, _) = link(&door, &id, "everything").await;
    let shares = get(&door, &format!("/v1/tasks/{id}/shares")).await.json();
    assert_eq!(shares["shares"].as_array().unwrap().len(), 2);
    assert!(!shares.to_string().contains(&first) && !shares.to_string().contains(&second));

    // Another server on the same data folder knows them, and a week later not any more.
    let restarted = |clock: fn() -> u64| app(App { clock, ..door.state.clone() });
    let later = restarted(|| testkit::clock::now_ms() + 8 * 24 * 60 * 60 * 1_000);
    for (router, status) in [(restarted(testkit::clock::now_ms), 200), (later, 404)] {
        let path = format!("/v1/shared/{first}");
        let asked = request(&door, "GET", &path, &[("authorization", "")], None);
        assert_eq!(tower::ServiceExt::oneshot(router, asked).await.unwrap().status(), status);
    }

    let path = format!("/v1/tasks/{id}/shares/{share}");
    let nobody = ask(&door, request(&door, "DELETE", &path, &[("authorization", "")], None)).await;
    let other = ask(&door, request(&door, "DELETE", &format!("/v1/tasks/other/shares/{share}"), &[], None)).await;
    assert_eq!((nobody.status, other.status), (401, 404));
    assert_eq!(ask(&door, request(&door, "DELETE", &path, &[], None)).await.status, 204);
    assert_eq!(ask(&door, request(&door, "DELETE", &path, &[], None)).await.status, 404);
    for path in ["", "/events", "/deliverables/report.html", "/pages/report.html"] {
        let told = guest(&door, &format!("/v1/shared/{first}{path}")).await;
        assert_eq!((told.status, told.json()["type"].as_str()), (404, Some("/v1/problems#no-such-share")), "{path}");
        assert_eq!(guest(&door, &format!("/v1/shared/{second}{path}")).await.status, 200, "{path}");
    }

    tokio::task::block_in_place(|| crate::rig::until("nobody has it", || door.rig.runner.place(&id).is_none()));
    assert_eq!(ask(&door, request(&door, "DELETE", &format!("/v1/tasks/{id}"), &[], None)).await.status, 204);
    assert_eq!(guest(&door, &format!("/v1/shared/{second}")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_for_a_time_and_not_for_ever() {
    let (door, id) = shown(HttpLimits::default()).await;
    for body in [
        json!({"what": "outputs"}),
        json!({"what": "outputs", "expires": "0d"}),
        json!({"what": "outputs", "expires": ""}),
        json!({"what": "all", "expires": "1d"}),
        json!({"what": "outputs", "expires": "1d", "key": "mine"}),
    ] {
        assert_eq!(post(&door, &format!("/v1/tasks/{id}/shares"), body.clone()).await.status, 422, "{body}");
    }
    let long =
        post(&door, &format!("/v1/tasks/{id}/shares"), json!({"what": "outputs", "expires": "99999d"})).await.json();
    let share = &long["share"];
    let holds_ms = share["expires_ms"].as_u64().unwrap() - share["created_ms"].as_u64().unwrap();
    assert_eq!(holds_ms, 366 * 24 * 60 * 60 * 1_000);
    assert_eq!(post(&door, "/v1/tasks/none/shares", json!({"what": "outputs", "expires": "1d"})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_cannot_be_guessed_by_the_thousand() {
    let limits = HttpLimits { burst_strangers_max: 3, strangers_per_second: 0, ..HttpLimits::default() };
    let (door, id) = shown(limits).await;
    let (key, _) = link(&door, &id, "outputs").await;
    for (guess, status) in [("a", 404), ("b", 404), ("c", 404), ("d", 429), ("e", 429)] {
        assert_eq!(guest(&door, &format!("/v1/shared/{guess}")).await.status, status, "{guess}");
    }
    assert_eq!(guest(&door, &format!("/v1/shared/{key}")).await.status, 200);
}
