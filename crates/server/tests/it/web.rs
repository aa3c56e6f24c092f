//! What the web app stands on: its own files, the record to check, and other people's pages that can do nothing.

use agent::{NewTask, Start};
use axum::http::header;
use event::TaskOptions;
use serde_json::json;
use server::{HttpLimits, RunnerLimits};
use testkit::{ModelServer, Turn};

use crate::door::{ask, door, door_before, ended, get, request};

#[tokio::test(flavor = "multi_thread")]
async fn the_app_is_anybodys_and_runs_its_own_scripts_only() {
    let door = door();
    let from_a_mail = [("authorization", ""), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    for screen in ["/", "/tasks/none?at=3", "/settings/models", "/shared/key"] {
        let told = ask(&door, request(&door, "GET", screen, &from_a_mail, None)).await;
        let policy = told.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        let kind = told.headers[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!((told.status, kind), (200, "text/html; charset=utf-8"));
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    let link = format!("/tasks/t-one?token={}", door.token);
    let told = ask(&door, request(&door, "GET", &link, &from_a_mail, None)).await;
    assert_eq!((told.status, told.headers[header::LOCATION].to_str().unwrap()), (303, "/tasks/t-one"));
    let told = ask(&door, request(&door, "GET", "/?token=wrong", &from_a_mail, None)).await;
    assert!(told.status == 200 && told.headers.get(header::SET_COOKIE).is_none());
    for path in ["/assets/none.js", "/assets/../../Cargo.toml", "/assets/%2e%2e/%2e%2e/Cargo.toml"] {
        assert_eq!(ask(&door, request(&door, "GET", path, &from_a_mail, None)).await.status, 404, "{path}");
    }
    assert_eq!(ask(&door, request(&door, "POST", "/", &from_a_mail, None)).await.status, 403);
    assert_eq!(ask(&door, request(&door, "GET", "/v1/tasks", &from_a_mail, None)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_given_whole_and_can_be_checked() {
    let door = door();
    let id = ended(&door).await;
    let told = get(&door, &format!("/v1/tasks/{id}/record")).await;
    assert!(told.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    let journal::Verdict::Whole(report) = journal::verify_bundle(&told.body) else { panic!("it does not hold") };
    assert_eq!((report.task, report.records), (id.to_string(), door.rig.instance.head(&id).unwrap()));
    assert_eq!(get(&door, "/v1/tasks/none/record").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_handed_over_comes_as_one_archive_that_leads_nowhere_else() {
    let model = ModelServer::playing(vec![
        Turn::call("file_write", &json!({"path": "a.csv", "content": "one,two\n1,2\n"})),
        Turn::call(
            "file_write",
            &json!({"path": "sub/b.md", "content": "# Two\n\nAll is well with the three of them.\n"}),
        ),
        Turn::call("deliver", &json!({"files": [{"path": "a.csv"}, {"path": "sub/b.md"}]})),
        Turn::say("done"),
    ]);
    let door = door_before(model.unwrap(), RunnerLimits::default(), HttpLimits::default());
    let id = ended(&door).await;
    let told = get(&door, &format!("/v1/tasks/{id}/archive")).await;
    assert_eq!((told.status, told.headers[header::CONTENT_TYPE].to_str().unwrap()), (200, "application/zip"));
    assert_eq!(told.headers[header::CONTENT_LENGTH].to_str().unwrap(), told.body.len().to_string());
    let content = String::from_utf8_lossy(&told.body);
    assert!(told.body.starts_with(b"PK\x03\x04") && content.contains("one,two\n1,2\n") && content.contains("# Two"));
    assert_eq!(content.matches("PK\u{1}\u{2}").count(), 2);

    // What an agent puts in a file's place later is no part of it.
    let out = door.rig.folder.path().join("home/tasks").join(id.as_str()).join("deliverables");
    std::fs::remove_file(out.join("a.csv")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", out.join("a.csv")).unwrap();
    assert_eq!(get(&door, &format!("/v1/tasks/{id}/archive")).await.status, 404);
    let other = crate::door::door();
    let none = ended(&other).await;
    assert_eq!(get(&other, &format!("/v1/tasks/{none}/archive")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_in_a_lent_folder_is_given_and_no_link_is_followed_there() {
    for below in ["", "out"] {
        let turns = vec![
            Turn::call(
                "file_write",
                &json!({"path": "page.html", "content": "<!doctype html><title>P</title><p>mine"}),
            ),
            Turn::call("deliver", &json!({"files": [{"path": "page.html"}]})),
            Turn::say("done"),
        ];
        let door = door_before(ModelServer::playing(turns).unwrap(), RunnerLimits::default(), HttpLimits::default());
        let lent = door.rig.folder.path().join("lent");
        std::fs::create_dir(&lent).unwrap();
        let text = |path: &std::path::Path| Some(path.to_str().unwrap().to_owned());
        let out = (!below.is_empty()).then(|| text(&lent.join(below))).flatten();
        let options = TaskOptions { workspace: text(&lent), out, ..TaskOptions::default() };
        let task = NewTask {
            brief: "Hand it over".to_owned(),
            model: "openai:scripted".to_owned(),
            options,
            ..NewTask::default()
        };
        let id = door.rig.instance.create(task).unwrap();
        door.rig.runner.begin(&id, Start::Fresh).unwrap();
        tokio::task::block_in_place(|| door.rig.until(&id, "done"));
        let paths =
            ["deliverables/page.html", "pages/page.html", "archive"].map(|path| format!("/v1/tasks/{id}/{path}"));
        for path in &paths {
            let told = get(&door, path).await;
            assert!(
                told.status == 200 && String::from_utf8_lossy(&told.body).contains("mine"),
                "{path}: {}",
                told.status
            );
        }
        // What ran there can put something else in the place of its folder.
        let elsewhere = door.rig.folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("page.html"), "<!doctype html>theirs").unwrap();
        let (place, target) = if below.is_empty() {
            (lent.join("page.html"), elsewhere.join("page.html"))
        } else {
            (lent.join(below), elsewhere)
        };
        std::fs::rename(&place, lent.join("away")).unwrap();
        std::os::unix::fs::symlink(target, &place).unwrap();
        for path in &paths {
            assert_eq!(get(&door, path).await.status, 404, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_page_is_shown_in_a_frame_that_can_do_nothing() {
    let page =
        "<!doctype html><title>Report</title><script>alert(1)</script><h1>Figures</h1><p>All is well with them.</p>";
    let files = json!([{"path": "report.html"}]);
    let model = ModelServer::playing(vec![
        Turn::call("file_write", &json!({"path": "report.html", "content": page})),
        Turn::call("deliver", &json!({"files": files})),
        Turn::say("done"),
    ]);
    let door = door_before(model.unwrap(), RunnerLimits::default(), HttpLimits::default());
    let id = ended(&door).await;
    let told = get(&door, &format!("/v1/tasks/{id}/pages/report.html")).await;
    assert_eq!((told.status, String::from_utf8_lossy(&told.body).as_ref()), (200, page));
    let policy = told.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'"), "{policy}");
    assert!(!policy.contains("allow-") && !policy.contains("script-src"), "{policy}");
    // The beginning of a large one ends where a tag does.
    for (first, beginning) in
        [(30, "<!doctype html><title>"), (38, "<!doctype html><title>Report</title>"), (9_999, page)]
    {
        let told = get(&door, &format!("/v1/tasks/{id}/pages/report.html?first={first}")).await;
        assert_eq!((told.status, String::from_utf8_lossy(&told.body).as_ref()), (200, beginning));
        assert!(told.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox;"));
    }
    for wrong in ["first=0", "first=x", "first=33554433", "more=1"] {
        assert_eq!(get(&door, &format!("/v1/tasks/{id}/pages/report.html?{wrong}")).await.status, 422, "{wrong}");
    }
    for other in ["none.html", "../access-token", "..%2f..%2faccess-token"] {
        assert_eq!(get(&door, &format!("/v1/tasks/{id}/pages/{other}")).await.status, 404, "{other}");
    }
}
