//! `thenar task hosts`: what programs in a task's computer may reach, and the way to change it.

use agent::{Command, Reached};
use serde_json::json;

use crate::commands::task::open;
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Screen, data};
use crate::{clean, house, screen};

pub(crate) fn hosts(id: &str, allow: Vec<String>, deny: Vec<String>, json: bool, screen: Screen) -> Outcome {
    let (instance, id) = open(id)?;
    if !allow.is_empty() || !deny.is_empty() {
        let told = instance.command(&id, Command::Hosts { allow, deny }).map_err(house::about(&id))?;
        let (Reached::Holder(answer) | Reached::Recorded(answer)) = told;
        if !answer.accepted {
            let hint = format!("thenar task hosts {id} tells what it may reach");
            return Err(Problem::new(Code::Usage, answer.text).hint(hint));
        }
    }
    let summary = instance.summary(&id).map_err(house::about(&id))?;
    let (named, answered) = (summary.options.allow_net, summary.answered_net);
    if json {
        screen::json(&json!({ "id": id, "allow_net": named, "answered": answered }));
        return Ok(Code::Done);
    }
    if named.is_empty() && answered.is_empty() {
        screen.say("It may reach no host without a question.");
    }
    for host in &named {
        data(&clean::line(host, 300));
    }
    for host in &answered {
        data(&format!("{}  asked", clean::line(host, 300)));
    }
    Ok(Code::Done)
}
