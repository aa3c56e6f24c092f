//! Events in, what is known and what is asked for out.

use serde_json::json;

use super::*;

fn opened(state: &mut State, target: &str, opener: Option<&str>) -> Vec<Post> {
    let mut info = json!({ "targetId": target, "type": "page", "title": "", "url": "" });
    if let Some(opener) = opener {
        info["openerId"] = opener.into();
    }
    let session = format!("s-{target}");
    state.apply(None, "Target.attachedToTarget", &json!({ "sessionId": session, "targetInfo": info }))
}

fn methods(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| post.method).collect()
}

#[test]
fn a_new_tab_is_shown_and_told_and_a_closed_one_gives_way() {
    let mut state = State::default();
    let posts = opened(&mut state, "a", None);
    assert!(methods(&posts).contains(&"Runtime.enable"), "{posts:?}");
    opened(&mut state, "b", Some("a"));
    assert_eq!(state.active().unwrap().target, "b");
    state.apply(None, "Target.detachedFromTarget", &json!({ "sessionId": "s-b" }));
    assert_eq!(state.active().unwrap().target, "a");
    let news = state.take_news();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(state.take_news().is_empty());
}

#[test]
fn pages_that_open_pages_without_end_are_stopped() {
    let mut state = State::default();
    for number in 0..TABS_MAX {
        opened(&mut state, &format!("t{number}"), Some("t0"));
    }
    let posts = opened(&mut state, "one too many", Some("t0"));
    assert_eq!(methods(&posts), ["Runtime.runIfWaitingForDebugger", "Target.closeTarget"]);
    assert_eq!(state.tabs().len(), TABS_MAX);
}

#[test]
fn frames_without_end_are_let_go() {
    let mut state = State::default();
    opened(&mut state, "a", None);
    for number in 0..2 * SESSIONS_MAX {
        let info = json!({ "targetId": format!("f{number}"), "type": "iframe" });
        let frame = json!({ "sessionId": format!("s-f{number}"), "targetInfo": info });
        let posts = state.apply(Some("s-a"), "Target.attachedToTarget", &frame);
        assert_eq!(methods(&posts) == ["Target.detachFromTarget"], number + 1 >= SESSIONS_MAX, "{number}: {posts:?}");
    }
    assert_eq!(state.sessions.len(), SESSIONS_MAX);
    assert!(state.tab("a").unwrap().frames.len() <= SESSIONS_MAX);
}

#[test]
fn an_alert_is_answered_and_a_question_is_kept() {
    let mut state = State::default();
    opened(&mut state, "a", None);
    let dialog = |kind: &str| json!({ "type": kind, "message": "sure?", "frameId": "a" });
    for (kind, answered) in [("alert", true), ("beforeunload", true), ("confirm", false), ("prompt", false)] {
        let posts = state.apply(Some("s-a"), "Page.javascriptDialogOpening", &dialog(kind));
        assert_eq!(!posts.is_empty(), answered, "{kind}");
        assert_eq!(state.has_dialog("a"), !answered, "{kind}");
        state.apply(Some("s-a"), "Page.javascriptDialogClosed", &json!({}));
    }
    assert!(!state.has_dialog("a"));
}

#[test]
fn frames_come_and_go_and_move_to_other_processes() {
    let mut state = State::default();
    opened(&mut state, "a", None);
    let attach = |frame: &str, parent: &str| json!({ "frameId": frame, "parentFrameId": parent });
    state.apply(Some("s-a"), "Page.frameAttached", &attach("f", "a"));
    state.apply(Some("s-a"), "Page.frameAttached", &attach("g", "f"));
    let info = json!({ "targetId": "f", "type": "iframe" });
    state.apply(Some("s-a"), "Target.attachedToTarget", &json!({ "sessionId": "s-f", "targetInfo": info }));
    let context = |id: i64, frame: &str, name: &str, default: bool| json!({ "context": { "id": id, "uniqueId": format!("u{id}"), "name": name, "auxData": { "frameId": frame, "isDefault": default } } });
    state.apply(Some("s-f"), "Runtime.executionContextCreated", &context(1, "f", "", true));
    state.apply(Some("s-f"), "Runtime.executionContextCreated", &context(2, "f", WORLD, false));
    // A late word of the process that it has left.
    state.apply(Some("s-a"), "Runtime.executionContextCreated", &context(9, "f", "", true));
    let frame = state.tab("a").unwrap().frames["f"].clone();
    assert_eq!((frame.session.as_str(), frame.parent.as_deref()), ("s-f", Some("a")));
    assert_eq!(frame.page_world.map(|world| world.id), Some(1));
    assert_eq!(frame.our_world.map(|world| world.id), Some(2));
    state.apply(Some("s-f"), "Runtime.executionContextDestroyed", &json!({ "executionContextUniqueId": "u2" }));
    assert_eq!(state.tab("a").unwrap().frames["f"].our_world, None);
    state.apply(Some("s-a"), "Page.frameDetached", &json!({ "frameId": "f", "reason": "remove" }));
    assert_eq!(state.tab("a").unwrap().frames.keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_frame_of_another_process_asks_for_files_and_crashes_by_itself() {
    let mut state = State::default();
    opened(&mut state, "a", None);
    let info = json!({ "targetId": "f", "type": "iframe" });
    let frame = json!({ "sessionId": "s-f", "targetInfo": info });
    let posts = state.apply(Some("s-a"), "Target.attachedToTarget", &frame);
    assert!(methods(&posts).contains(&"Page.setInterceptFileChooserDialog"), "{posts:?}");
    state.apply(Some("s-f"), "Inspector.targetCrashed", &json!({}));
    assert!(!state.tab("a").unwrap().crashed);
    assert!(state.take_news()[0].starts_with("A frame of the page crashed"));
    state.apply(Some("s-a"), "Inspector.targetCrashed", &json!({}));
    assert!(state.tab("a").unwrap().crashed);
}

#[test]
fn a_download_over_the_limit_is_stopped() {
    let mut state = State::default();
    let begin = json!({ "guid": "g", "suggestedFilename": "../x", "url": "http://a.b/" });
    state.apply(None, "Browser.downloadWillBegin", &begin);
    let progress = |received: f64, total: f64, now: &str| json!({ "guid": "g", "receivedBytes": received, "totalBytes": total, "state": now });
    assert!(state.apply(None, "Browser.downloadProgress", &progress(10.0, 0.0, "inProgress")).is_empty());
    let posts = state.apply(None, "Browser.downloadProgress", &progress(10.0, 3e12, "inProgress"));
    assert_eq!(methods(&posts), ["Browser.cancelDownload"]);
    state.apply(None, "Browser.downloadProgress", &progress(10.0, 0.0, "canceled"));
    assert_eq!(state.downloads.take_ended()[0].progress, Progress::TooLarge);
    assert!(state.downloads.take_ended().is_empty());
}

#[test]
fn nonsense_is_survived() {
    let mut state = State::default();
    opened(&mut state, "a", None);
    for method in [
        "Page.frameNavigated",
        "Runtime.consoleAPICalled",
        "Page.screencastFrame",
        "Target.attachedToTarget",
        "Browser.downloadProgress",
        "",
    ] {
        for params in [json!(null), json!({}), json!([1]), json!({ "frame": { "id": 7 } }), json!("x")] {
            state.apply(Some("s-a"), method, &params);
            state.apply(None, method, &params);
            state.apply(Some("nobody"), method, &params);
        }
    }
    assert_eq!(state.tabs().len(), 1);
}
