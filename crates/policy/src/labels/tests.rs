//! Which arguments are the person's own.

use event::{Confidentiality, EffectId, Integrity, Label, Source};
use serde_json::{Value, json};

use super::label_arguments;

/// Whether the argument is taken for the person's word, the model having read something from outside.
#[track_caller]
fn check(words: &str, argument: Value, person: bool) {
    let arguments = serde_json::Map::from_iter([("to".to_owned(), argument)]);
    let labels = label_arguments(&arguments, &["first, something else", words], &Label::output_of(EffectId(4)));
    let integrity = if person { Integrity::Trusted } else { Integrity::Untrusted };
    assert_eq!(labels["to"].integrity, integrity, "{words:?} {arguments:?}");
}

#[test]
fn the_persons_own_words_are_the_persons() {
    check("send it to bob@example.com", json!("bob@example.com"), true);
    check("send it to bob@example.com.", json!("bob@example.com"), true);
    check("send it to <bob@example.com>, please", json!("bob@example.com"), true);
    check("is it at https://example.com/a?", json!("https://example.com/a"), true);
    check("\"Bob Smith\": the report", json!("Bob Smith"), true);
    check("把报告发给bob@example.com。", json!("bob@example.com"), true);
    check("把报告发给王先生,谢谢", json!("王先生"), true);
    check("bob@example.com", json!("bob@example.com"), true);
    check("not@bob@example.com but bob@example.com", json!("bob@example.com"), true);
}

#[test]
fn a_part_of_a_word_is_not() {
    check("send it to bob@example.com", json!("example.com"), false);
    check("send it to bob@example.com", json!("bob@example.co"), false);
    check("send it to bob@example.com.evil.org", json!("bob@example.com"), false);
    check("see example.com:8443", json!("example.com"), false);
    check("see example.com/path", json!("example.com"), false);
    check("see sub.example.com", json!("example.com"), false);
    check("see example.com?to=x", json!("example.com"), false);
    check("send it to Bob", json!("bob"), false);
    check("send it to Bobby", json!("Bob"), false);
    check("un café", json!("caf"), false);
    check("send it to bob@example.com", json!("bob@example.com\nbcc: x@y"), false);
    check("send it to bob@example.com", json!("bob@example.com\n"), false);
    check("send it", json!(""), false);
    check("send it", json!("  "), false);
    check("send it 5 times", json!(5), false);
    check("send it to a", json!(["a"]), false);
    check("", json!("bob@example.com"), false);
}

#[test]
fn what_the_model_made_is_tainted_by_what_it_read() {
    let arguments = serde_json::Map::from_iter([("text".to_owned(), json!("dear Bob"))]);
    let context = Label::system().join(&Label::person()).join(&Label::output_of(EffectId(4)));
    let label = &label_arguments(&arguments, &["write to Bob"], &context)["text"];
    assert_eq!((label.integrity, label.confidentiality), (Integrity::Untrusted, Confidentiality::Private));
    assert!(label.sources.contains(&Source::Model) && label.sources.contains(&Source::Effect(EffectId(4))));

    // Having read only the person and Thenar, it can be trusted as far as they can.
    let label = &label_arguments(&arguments, &["write to Bob"], &Label::system().join(&Label::person()))["text"];
    assert_eq!(label.integrity, Integrity::Trusted);
    assert!(label_arguments(&serde_json::Map::new(), &[], &context).is_empty());
}
