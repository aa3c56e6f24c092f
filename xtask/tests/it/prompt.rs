//! What every request begins with, counted as the bench counts it: the system prompt and the list of all tools.

#[test]
fn the_prompt_and_all_tools_fit_in_three_and_a_half_thousand_tokens() {
    let counter = tiktoken_rs::o200k_base().unwrap();
    let count = |text: &str| counter.encode_ordinary(text).len();
    let list = String::from_utf8(tools::list_json(tools::Offered::All)).unwrap();
    let (words, tools) = (count(&agent::system_prompt(tools::Offered::All)), count(&list));
    assert!(words + tools <= 3_500, "{words} + {tools}");
    println!("{words} + {tools} o200k tokens, {} tools", tools::list().len());
}
