//! Refusals: those that servers sent (`tests/golden/README.md` says which), and the headers and words around them.

use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn told(status: u16, body: &[u8]) -> String {
    let failure = refused(Provider::OpenAi, status, &HeaderMap::new(), body);
    format!("{:?}: {failure}\n", failure.kind)
}

#[test]
fn recorded_refusals_say_what_to_do() {
    let files = [
        (400, "llama_cpp_window.json"),
        (400, "llama_cpp_bad_request.json"),
        (404, "llama_cpp_not_found.json"),
        (404, "openai_not_found.json"),
        (400, "openai_bad_request.json"),
        (400, "groq_tool_use_failed.json"),
        (401, "mistral_unauthorized.json"),
    ];
    insta::assert_snapshot!(files.map(|(status, file)| told(status, &golden(file))).concat(), @r#"
    WindowExceeded: the request does not fit the model's window (400): request (3010 tokens) exceeds the available context size (1024 tokens), try increasing it
    Rejected: the model's server refused the request (400): All non-assistant messages must contain 'content'
    Rejected: the model's server knows no such model or address (404): File Not Found. See `thenar models`
    Rejected: the model's server knows no such model or address (404): The model `this-model-does-not-exist` does not exist or you do not have access to it. See `thenar models`
    Rejected: the model's server refused the request (400): Unsupported value: 'messages[0].role' does not support 'system' with this model
    Transient: the model's server answered 400: Tool call validation failed: tool call validation failed: parameters for tool get_something_by_name did not match schema: errors: [missing properties: 'name', additionalProperties 'invalid_param' not allowed]
    Rejected: the model's server refused the key (401): Unauthorized. Check OPENAI_API_KEY
    "#);
}

#[test]
fn more_recorded_refusals_say_what_to_do() {
    let files =
        [(400, "azure_filtered_prompt.json"), (401, "openai_wrong_key.json"), (429, "openrouter_rate_limited.json")];
    insta::assert_snapshot!(files.map(|(status, file)| told(status, &golden(file))).concat(), @r#"
    Rejected: the model's server refused the request (400): The response was filtered due to the prompt triggering Azure Content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=21298766
    Rejected: the model's server refused the key (401): Incorrect API key provided: test. You can find your API key at https://platform.openai.com/account/api-keys. Check OPENAI_API_KEY
    Transient: the model's server answered 429: Provider returned error
    "#);
}

#[test]
fn every_status_has_its_kind() {
    let answers: [(u16, &str); 15] = [
        (301, ""),
        (400, r#"{"error":{"code":"context_length_exceeded","message":"Please reduce the length"}}"#),
        (
            400,
            r#"{"error":{"message":"You passed 1015 input tokens. However, the model's context length is only 1024 tokens"}}"#,
        ),
        (400, r#"{"object":"error","message":"This model's maximum context length is 16 tokens.","code":400}"#),
        (400, r#"{"error":"the loaded model has a context length of only 32768 tokens, which is not enough"}"#),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#),
        (403, "<html>no</html>"),
        (413, r#"{"error":{"message":"prompt is too long"}}"#),
        (422, r#"{"detail":"model: field required"}"#),
        (429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#),
        (429, r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#),
        (500, r#"{"error":{"message":"the context size has been exceeded: context window is 8"}}"#),
        (502, ""),
        (503, "\u{1b}[31mbusy\u{7}\u{1b}[0m\r\n"),
        (529, r#"{"error":{"message":"overloaded"}}"#),
    ];
    insta::assert_snapshot!(answers.map(|(status, body)| told(status, body.as_bytes())).concat(), @r#"
    Rejected: the model's server sends elsewhere (301); a key is not carried to another address. Set the final address
    WindowExceeded: the request does not fit the model's window (400): Please reduce the length
    WindowExceeded: the request does not fit the model's window (400): You passed 1015 input tokens. However, the model's context length is only 1024 tokens
    WindowExceeded: the request does not fit the model's window (400): This model's maximum context length is 16 tokens
    WindowExceeded: the request does not fit the model's window (400): the loaded model has a context length of only 32768 tokens, which is not enough
    Rejected: the model's server wants to be paid first (402): Insufficient Balance
    Rejected: the model's server refused the key (403): <html>no</html>. Check OPENAI_API_KEY
    WindowExceeded: the request does not fit the model's window (413): prompt is too long
    Rejected: the model's server refused the request (422): model: field required
    Transient: the model's server answered 429: slow down
    Rejected: the account's quota is used up (429): You exceeded your current quota
    WindowExceeded: the request does not fit the model's window (500): the context size has been exceeded: context window is 8
    Transient: the model's server answered 502
    Transient: the model's server answered 503: [31mbusy  [0m
    Transient: the model's server answered 529: overloaded
    "#);
}

#[test]
fn long_words_of_a_server_are_cut() {
    let body = serde_json::json!({ "error": { "message": "x".repeat(10_000) } }).to_string();
    assert!(refused(Provider::OpenAi, 500, &HeaderMap::new(), body.as_bytes()).reason.len() < WORDS_CHARS_MAX + 100);
}

#[track_caller]
fn check_wait(headers: &[(&'static str, &str)], milliseconds: Option<u64>) {
    let map: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    assert_eq!(retry_after(&map), milliseconds.map(Duration::from_millis));
}

#[test]
fn a_wait_is_read_in_every_form() {
    check_wait(&[("retry-after", "20")], Some(20_000));
    check_wait(&[("retry-after", " 0.5 ")], Some(500));
    check_wait(&[("retry-after-ms", "250"), ("retry-after", "20")], Some(250));
    let (date, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:37 GMT");
    check_wait(&[("date", date), ("retry-after", later)], Some(120_000));
    check_wait(&[("date", later), ("retry-after", date)], Some(0));
    check_wait(&[("retry-after", later)], None);
    check_wait(&[("retry-after", "soon")], None);
    check_wait(&[("retry-after", "-3")], Some(0));
    check_wait(&[("retry-after", "inf")], None);
    check_wait(&[], None);
}

#[test]
fn the_list_of_models_is_read() {
    let listed = listed_in(&golden("llama_cpp_models.json")).unwrap();
    assert_eq!(listed, [Listed { name: "smollm2-135m".to_owned(), window_tokens: Some(1_024) }]);
    let told = br#"{"data":[{"id":"models/a","max_model_len":8192},{"id":"b","meta":{"n_ctx":4096}},{"no":"id"}]}"#;
    let listed = listed_in(told).unwrap();
    let windows: Vec<_> = listed.iter().map(|model| (model.name.as_str(), model.window_tokens)).collect();
    assert_eq!(windows, [("a", Some(8_192)), ("b", Some(4_096))]);
    assert!(listed_in(b"<html>").is_err());
}
