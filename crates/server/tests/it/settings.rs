//! The settings over HTTP: what is taken, what is refused, and that a key goes in and never comes out.

use serde_json::{Value, json};

use crate::door::{Door, ask, door, get, made, post, request};

async fn put(door: &Door, path: &str, body: Value) -> u16 {
    ask(door, request(door, "PUT", path, &[], Some(&body))).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_in_and_never_comes_out() {
    let door = door();
    let wanted = json!({"base_url": "http://10.0.0.5/v1", "api_key": "sk-owner-0123456789", "window": 32768});
    assert_eq!(put(&door, "/v1/settings/models/openai:meta/llama", wanted).await, 204);
    let settings = get(&door, "/v1/settings").await;
    let told = String::from_utf8(settings.body.clone()).unwrap();
    assert!(told.contains("openai:meta/llama") && !told.contains("sk-owner"), "{told}");
    assert_eq!(settings.json()["models"][0]["has_key"], true);
    assert_eq!(put(&door, "/v1/settings/model", json!({"model": "openai:meta/llama"})).await, 204);
    assert_eq!(get(&door, "/v1/settings").await.json()["model"], "openai:meta/llama");
    let gone = ask(&door, request(&door, "DELETE", "/v1/settings/models/openai:meta/llama", &[], None)).await;
    assert_eq!(gone.status, 204);
    assert!(get(&door, "/v1/settings").await.json()["models"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_none_are_refused() {
    let door = door();
    let name = "/v1/settings/models/openai:x";
    for (path, body) in [
        (name, json!({"base_url": "file:///etc/passwd"})),
        (name, json!({"base_url": "http://a\nb"})),
        (name, json!({"api_key": ""})),
        (name, json!({"api_key": "two words"})),
        (name, json!({"api_key": "two\nlines"})),
        (name, json!({"input_price": -1})),
        (name, json!({"window": 0})),
        ("/v1/settings/limits", json!({"max_steps": 0})),
        ("/v1/settings/limits", json!({"max_time": "soon"})),
        ("/v1/settings/limits", json!({"max_cost_usd": -1})),
        ("/v1/settings/limits", json!({"more": 1})),
        ("/v1/settings/model", json!({"model": ""})),
    ] {
        assert_eq!(put(&door, path, body.clone()).await, 422, "{path} {body}");
    }
    let nobody = request(&door, "PUT", name, &[("authorization", "")], Some(&json!({})));
    assert_eq!(ask(&door, nobody).await.status, 401);
    assert!(get(&door, "/v1/settings").await.json()["models"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_says_nothing_gets_the_usual_limits() {
    let door = door();
    let limits = json!({"max_steps": 7, "max_time": "8h", "max_cost_usd": 2});
    assert_eq!(put(&door, "/v1/settings/limits", limits).await, 204);
    let id = made(&door).await;
    let task = get(&door, &format!("/v1/tasks/{id}")).await.json();
    // The price of this model is not known, so a cap in dollars could not be kept: it is left out and not refused.
    assert_eq!(
        (&task["max_steps"], &task["max_time_ms"], &task["max_cost_usd"]),
        (&json!(7), &json!(28_800_000), &Value::Null)
    );
    let own = post(&door, "/v1/tasks", json!({"task": "say done", "max_steps": 3})).await.json();
    assert_eq!((&own["max_steps"], &own["max_time_ms"]), (&json!(3), &json!(28_800_000)));
    assert_eq!(post(&door, "/v1/tasks", json!({"task": "say done", "max_cost_usd": 1})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_what_it_may_reach_and_keeps_the_hosts_of_its_secrets() {
    let door = door();
    door.house.always.lock().unwrap().push("always.test".to_owned());
    let secret = json!({"value": "sk-4f1e9c77", "hosts": ["api.test"]});
    assert_eq!(put(&door, "/v1/secrets/API_KEY", secret).await, 204);
    let asked = json!({"task": "say done", "allow_net": ["A.test.", "b.test"], "secrets": ["API_KEY"]});
    let task = post(&door, "/v1/tasks", asked).await.json();
    assert_eq!(task["allow_net"], json!(["a.test", "b.test", "api.test", "always.test"]));
    assert_eq!(task["secrets"], json!(["API_KEY"]));
    // One that is at its end right now takes nothing: that it is over is waited for.
    let id = event::TaskId::new(task["id"].as_str().unwrap()).unwrap();
    door.rig.until(&id, "done");
    let resume = format!("/v1/tasks/{id}/resume");
    let task = post(&door, &resume, json!({"allow_net": ["c.test"]})).await;
    let whole = json!(["c.test", "api.test", "always.test"]);
    assert_eq!((task.status, &task.json()["allow_net"]), (202, &whole), "{}", task.json());

    // Another secret comes beside the first, and what was taken away stays away.
    crate::rig::until("it has ended once more, and is let go", || {
        let events = door.rig.instance.events(&id).unwrap();
        let ends = events.iter().filter(|recorded| matches!(recorded.event, event::Event::TaskEnded { .. })).count();
        ends == 2 && !door.rig.instance.is_held(&id).unwrap()
    });
    let secret = json!({"value": "sk-8a02b7d1", "hosts": ["other.test"]});
    assert_eq!(put(&door, "/v1/secrets/OTHER_KEY", secret).await, 204);
    let hosts = format!("/v1/tasks/{id}/hosts");
    assert_eq!(post(&door, &hosts, json!({"deny": ["api.test"]})).await.status, 200);
    assert_eq!(post(&door, &resume, json!({"secrets": ["NO_KEY"]})).await.status, 422);
    let task = post(&door, &resume, json!({"secrets": ["OTHER_KEY"]})).await;
    let now = (json!(["c.test", "always.test", "other.test"]), json!(["API_KEY", "OTHER_KEY"]));
    assert_eq!(
        (task.status, &task.json()["allow_net"], &task.json()["secrets"]),
        (202, &now.0, &now.1),
        "{}",
        task.json()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_and_the_machine_are_tried() {
    let door = door();
    assert_eq!(post(&door, "/v1/settings/try", json!({"model": "openai:x"})).await.json()["usable"], true);
    assert_eq!(post(&door, "/v1/doctor", json!({})).await.json()["able"], true);
    assert_eq!(get(&door, "/v1/about").await.json()["version"], env!("CARGO_PKG_VERSION"));
}

async fn options(door: &Door, task: Value) -> Value {
    let made = post(door, "/v1/tasks", task).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let id = event::TaskId::new(made.json()["id"].as_str().unwrap()).unwrap();
    let events = door.rig.instance.events(&id).unwrap();
    let event::Event::TaskCreated(created) = &events[0].event else { panic!("the first event is another") };
    json!([created.options.allow_net, created.options.secrets])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_reaches_what_it_names_and_else_what_the_settings_say() {
    let door = door();
    assert_eq!(put(&door, "/v1/settings/hosts", json!({"allow_net": ["PyPI.org", "pypi.org"]})).await, 204);
    assert_eq!(get(&door, "/v1/settings").await.json()["allow_net"], json!(["pypi.org"]));
    assert_eq!(options(&door, json!({"task": "x"})).await, json!([["pypi.org"], []]));
    assert_eq!(options(&door, json!({"task": "x", "allow_net": []})).await, json!([[], []]));
    let named = json!({"task": "x", "allow_net": ["*.example.org:8443"]});
    assert_eq!(options(&door, named).await, json!([["*.example.org:8443"], []]));
    for wrong in [json!(["http://x/"]), json!([""]), json!("x")] {
        assert_eq!(post(&door, "/v1/tasks", json!({"task": "x", "allow_net": wrong})).await.status, 422, "{wrong}");
        assert_eq!(put(&door, "/v1/settings/hosts", json!({"allow_net": wrong})).await, 422, "{wrong}");
    }
    let keyed = |hosts: Value| {
        let body = json!({"task": "x", "allow_net": hosts});
        ask(&door, request(&door, "POST", "/v1/tasks", &[("idempotency-key", "k")], Some(&body)))
    };
    assert_eq!(keyed(json!(["a.test"])).await.status, 201);
    assert_eq!(keyed(json!(["a.test"])).await.status, 200);
    assert_eq!(keyed(json!(["b.test"])).await.status, 409, "that is another task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_in_for_its_hosts_and_never_comes_out() {
    let door = door();
    let secret = json!({"value": "sk-page-0123456789", "hosts": ["api.example.org"]});
    assert_eq!(put(&door, "/v1/secrets/API_KEY", secret).await, 204);
    let told = get(&door, "/v1/secrets").await;
    assert_eq!(told.json(), json!({"secrets": [{"name": "API_KEY", "hosts": ["api.example.org"]}]}));
    let given = json!({"task": "x", "allow_net": [], "secrets": ["API_KEY"]});
    assert_eq!(options(&door, given).await, json!([["api.example.org"], ["API_KEY"]]));
    assert_eq!(post(&door, "/v1/tasks", json!({"task": "x", "secrets": ["NONE"]})).await.status, 422);
    for (name, body) in [
        ("API_KEY", json!({"value": "", "hosts": ["a.test"]})),
        ("API_KEY", json!({"value": "two\nlines", "hosts": ["a.test"]})),
        ("API_KEY", json!({"value": "v", "hosts": []})),
        ("API_KEY", json!({"value": "v", "hosts": ["*"]})),
        ("API-KEY", json!({"value": "v", "hosts": ["a.test"]})),
    ] {
        assert_eq!(put(&door, &format!("/v1/secrets/{name}"), body.clone()).await, 422, "{name} {body}");
    }
    let gone = ask(&door, request(&door, "DELETE", "/v1/secrets/API_KEY", &[], None)).await;
    assert_eq!((gone.status, get(&door, "/v1/secrets").await.json()), (204, json!({"secrets": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_of_a_task_are_shown_added_and_taken_away() {
    let door = door();
    let asked = json!({"task": "say done", "allow_net": ["a.test", "*.b.test"]});
    let id = post(&door, "/v1/tasks", asked).await.json()["id"].as_str().unwrap().to_owned();
    tokio::task::block_in_place(|| door.rig.until(&event::TaskId::new(id.as_str()).unwrap(), "done"));
    let path = format!("/v1/tasks/{id}/hosts");
    assert_eq!(get(&door, &path).await.json(), json!({"allow_net": ["a.test", "*.b.test"], "answered": []}));
    let told = post(&door, &path, json!({"allow": ["C.test:8443"], "deny": ["a.test"]})).await;
    assert_eq!((told.status, &told.json()["allow_net"]), (200, &json!(["*.b.test", "c.test:8443"])), "{}", told.json());
    // Nobody has it in hand, and it is over: it stays so.
    assert_eq!(get(&door, &format!("/v1/tasks/{id}")).await.json()["state"], "done");
    for (wrong, status) in [
        (json!({"allow": ["http://a"]}), 422),
        (json!({"deny": ["a b"]}), 422),
        (json!({"deny": ["x.b.test"]}), 409),
        (json!({"deny": ["never.test"]}), 409),
        (json!({"more": []}), 422),
    ] {
        assert_eq!(post(&door, &path, wrong.clone()).await.status, status, "{wrong}");
    }
    assert_eq!(get(&door, &path).await.json()["allow_net"], json!(["*.b.test", "c.test:8443"]));
    assert_eq!(get(&door, "/v1/tasks/t-none/hosts").await.status, 404);
}

/// A program, and a page in another language, go by the code; the sentence is for whoever reads English.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_can_put_right_has_a_code() {
    let door = door();
    for (path, body, because) in [
        ("/v1/settings/hosts", json!({"allow_net": ["a b"]}), json!({"code": "host_wrong", "host": "a b"})),
        ("/v1/secrets/1X", json!({"value": "v", "hosts": ["a.org"]}), json!({"code": "secret_name", "name": "1X"})),
        ("/v1/settings/models/openai:x", json!({"api_key": "two words"}), json!({"code": "model_key"})),
    ] {
        let told = ask(&door, request(&door, "PUT", path, &[], Some(&body))).await;
        assert_eq!((told.status, &told.json()["because"]), (422, &because), "{path}: {}", told.json());
    }
    let told = ask(&door, request(&door, "PUT", "/v1/settings/hosts", &[], Some(&json!({"more": 1})))).await;
    assert!(told.json().get("because").is_none(), "{}", told.json());
}
