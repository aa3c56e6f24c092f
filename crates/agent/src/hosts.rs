//! What a task may reach: how its list comes about when it is made and when it goes on, and what goes on the record where the person
//! changes it in between.

use event::{Digest, EffectId, Event, TaskOptions};
use sandbox::egress::Host;

use crate::allow::{Allowed, allow_list, named, with_more};
use crate::network::{Asked, Place, Stage};
use crate::secrets::Secrets;
use crate::state::State;
use crate::{Because, Error};

impl Secrets {
    /// The list of a task for which these places are named: beside them stand what its secrets are for, and what every task may
    /// reach. A secret that is gone takes its hosts along.
    pub fn whole_list(&self, named: &[String], secrets: &[String], always: &[String]) -> Result<Vec<String>, Error> {
        let kept = self.still(secrets)?.into_iter().flat_map(|kept| kept.hosts);
        allow_list(&named.iter().cloned().chain(kept).chain(always.iter().cloned()).collect::<Vec<_>>())
    }

    /// The options of a task that goes on with these places and these secrets as well. What was taken away stays away.
    pub fn with_more(&self, old: TaskOptions, places: &[String], secrets: &[String]) -> Result<TaskOptions, Error> {
        let own = self.named(secrets)?.into_iter().flat_map(|kept| kept.hosts);
        let all: Vec<String> = with_more(&old.allow_net, places)?.into_iter().chain(own).collect();
        let new = secrets.iter().filter(|name| !old.secrets.contains(name));
        let secrets = old.secrets.iter().chain(new).cloned().collect();
        Ok(TaskOptions { allow_net: allow_list(&all)?, secrets, ..old })
    }
}

/// What the person is told, and the events: the new list where it is another one, and their word on each place that they are
/// asked about, or said yes to, and that this decides.
pub(crate) fn changed(state: &State, allow: &[String], deny: &[String]) -> Result<(String, Vec<Event>), Error> {
    let less = allow_list(deny)?.iter().map(|text| Allowed::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let old = &state.options.allow_net;
    let taken = |text: &str| Allowed::parse(text).is_ok_and(|one| less.iter().any(|away| away.takes(&one)));
    let kept: Vec<String> = old.iter().filter(|text| !taken(text)).cloned().collect();
    let list = with_more(&kept, allow)?;
    let places = &state.network.reaches;
    for away in &less {
        let has = old.iter().any(|text| Allowed::parse(text).is_ok_and(|one| away.takes(&one)));
        let said = |(place, asked): (&Place, &Asked)| takes(away, place) && is_said_or_asked(asked);
        if let Some(wider) = list.iter().find(|text| Allowed::parse(text).is_ok_and(|one| one.lets_through(away))) {
            let because = Because::HostStillReached { host: away.to_string(), wider: wider.clone() };
            return Err(Error::refused(
                because,
                format!("{away} may still be reached through {wider}: take that away"),
            ));
        }
        if !has && !places.iter().any(said) {
            let text = format!("{away} is not among what the task may reach: {}", in_words(old));
            return Err(Error::refused(Because::HostNotNamed { host: away.to_string() }, text));
        }
    }
    let mut events = Vec::new();
    if list != *old {
        events.push(Event::HostsChanged { allow_net: list.clone() });
    }
    for (place, asked) in places {
        let gone = less.iter().any(|away| takes(away, place));
        let come = Host::parse(&place.0).is_ok_and(|host| named(&list, &host, place.1).is_some());
        let word = match &asked.stage {
            Stage::Asking { digest, .. } if gone || come => Some((*digest, come)),
            _ => asked.answer().filter(|_| gone && !come).map(|(digest, _)| (digest, false)),
        };
        events.extend(word.map(|(digest, allowed)| answered(asked.reach.id, digest, allowed)));
    }
    let now = in_words(&list);
    let text = if events.is_empty() { format!("nothing changes: {now}") } else { now };
    Ok((text, events))
}

/// Other options, and the person's word on each place that they are asked about and that these name.
pub(crate) fn chosen(state: &State, options: TaskOptions) -> Vec<Event> {
    let names =
        |(host, port): &Place| Host::parse(host).is_ok_and(|host| named(&options.allow_net, &host, *port).is_some());
    let word = |(place, asked): (&Place, &Asked)| match &asked.stage {
        Stage::Asking { digest, .. } if names(place) => Some(answered(asked.reach.id, *digest, true)),
        _ => None,
    };
    let words: Vec<Event> = state.network.reaches.iter().filter_map(word).collect();
    std::iter::once(Event::OptionsChanged { options }).chain(words).collect()
}

fn takes(away: &Allowed, (host, port): &Place) -> bool {
    Host::parse(host).is_ok_and(|host| away.takes_place(&host, *port))
}

fn is_said_or_asked(asked: &Asked) -> bool {
    asked.answer().is_some() || matches!(asked.stage, Stage::Asking { .. })
}

fn answered(id: EffectId, effect_digest: Digest, allowed: bool) -> Event {
    Event::ApprovalAnswered { id, effect_digest, allowed, by: "person".to_owned(), note: String::new() }
}

fn in_words(list: &[String]) -> String {
    match list {
        [] => "it may reach no host without a question".to_owned(),
        list => format!("it may reach {}", list.join(", ")),
    }
}
