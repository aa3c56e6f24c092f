//! Policies that must not load, and what is said of them. A policy is used whole or not at all.

use policy::{Engine, Error};

#[track_caller]
fn check(text: &str, expected: &str) {
    let error = Engine::load(text).expect_err("must not load");
    assert!(error.to_string().starts_with(expected), "said {error}, expected {expected}");
    assert!(!error.hint().is_empty());
}

#[test]
fn broken_rules_are_named() {
    check("@id(\"a\")\npermit (principal, action);", "load policy: line 2: ");
    check("\n\n  allow everything", "load policy: line 3: ");
    check(r#"@id("a") permit (principal == ?principal, action, resource);"#, "load policy: rule \"policy0\": has a ?p");
    check("permit (principal, action, resource);", "load policy: rule \"number 1\": has no @id");
    let twice = r#"@id("a") permit (principal, action, resource);"#;
    check(&format!("{twice}\n{twice}"), "load policy: rule \"a\": the id is taken");
    for (rule, problem) in [
        (r#"@id("A b") forbid"#, r#"rule "A b": an @id is"#),
        (r#"@id("") forbid"#, r#"rule "": an @id is"#),
        (r#"@id("budget.cost") forbid"#, r#"rule "budget.cost": the id is taken"#),
        (r#"@id("yes") forbid"#, r#"rule "yes": the id is taken"#),
        (r#"@id("a") @teir("user_only") forbid"#, r#"rule "a": @teir is not known"#),
        (r#"@id("a") @tier("nobody") forbid"#, r#"rule "a": @tier is"#),
        (r#"@id("a") @tier("autonomous") forbid"#, r#"rule "a": @tier is"#),
        (r#"@id("a") @tier("user_only") permit"#, r#"rule "a": only a forbid rule"#),
        (r#"@id("a") @yes("never") forbid"#, r#"rule "a": @yes without @tier"#),
        (r#"@id("a") @tier("user_authorised") @yes("always") forbid"#, r#"rule "a": @yes is"#),
    ] {
        check(&format!("{rule} (principal, action, resource);"), &format!("load policy: {problem}"));
    }
}

#[test]
fn a_policy_has_limits() {
    check(&"// long\n".repeat(40_000), "load policy: 320000 bytes, more than 262144");
    let many: String = (0..501).map(|i| format!("@id(\"r{i}\") forbid (principal, action, resource);\n")).collect();
    check(&many, "load policy: 501 rules, more than 500");
}

const INSIDE: &str = r#"@id("a") permit (principal, action == Action::"ls", resource is Computer);"#;

#[test]
fn examples_hold_the_rules_to_what_their_author_means() {
    let with = |example: &str| format!("{INSIDE}\n{example}\n");
    for good in [
        r#"//@ allow {"tool": "ls"}"#,
        r#"  //@ allow {"tool": "ls", "rules": ["a"]}"#,
        r#"//@ deny {"tool": "rm", "rules": ["default.deny"]}"#,
        r#"//@ deny {"tool": "ls", "leaves": true}"#,
        r#"//@ ask {"tool": "ls", "tier": "user_authorised"}"#,
        r#"//@ deny {"model": "any:thing"}"#,
        "// an ordinary comment",
    ] {
        Engine::load(&with(good)).unwrap();
    }
    let line = "load policy: example on line 2 must ";
    check(&with(r#"//@ deny {"tool": "ls"}"#), &format!("{line}deny, but the rules allow by a"));
    check(&with(r#"//@ allow {"tool": "rm"}"#), &format!("{line}allow, but the rules deny by default.deny"));
    check(&with(r#"//@ allow {"tool": "ls", "rules": ["b"]}"#), &format!("{line}allow by b, but the rules allow by a"));
    assert!(matches!(Engine::load(&with(r#"//@ deny {"tool": "ls"}"#)), Err(Error::Contradicted { line: 2, .. })));
}

/// An example that is misread would hold the rules to nothing.
#[test]
fn an_example_that_is_none_is_an_error() {
    let at = "load policy: example on line 1: ";
    check("//@ alow {\"tool\": \"ls\"}", &format!("{at}must begin with allow, ask or deny"));
    check("//@", &format!("{at}must begin with allow, ask or deny"));
    check("//@ deny", at);
    check("//@ deny {\"tool\": \"ls\"", at);
    check("//@ deny {}", &format!("{at}a tool, a model or a host"));
    check("//@ deny {\"tool\": \"ls\", \"model\": \"a:b\"}", &format!("{at}a tool, a model or a host"));
    check("//@ deny {\"tool\": \"ls\", \"leave\": true}", &format!("{at}unknown field `leave`"));
    check(
        "//@ deny {\"tool\": \"ls\", \"arguments\": {\"a\": 1}, \"labels\": {\"a\": \"odd\"}}",
        &format!("{at}\"odd\" is no word of a label"),
    );
    check(
        "//@ deny {\"tool\": \"ls\", \"labels\": {\"a\": \"untrusted\"}}",
        &format!("{at}a label for the argument \"a\""),
    );
}

#[test]
fn the_text_is_kept_as_it_was_loaded() {
    assert_eq!(Engine::load(INSIDE).unwrap().text(), INSIDE);
    Engine::load(Engine::default_policy()).unwrap();
}
