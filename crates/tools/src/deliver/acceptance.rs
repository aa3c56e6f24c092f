//! How each point of the acceptance list stands after a delivery spoke of some of them. Pure.

use event::{AcceptanceItem, AcceptanceStatus};

use crate::call::words;
use crate::deliver::asked::adopt;
use crate::outcome::Outcome;

/// The list with what was said of it. Points not mentioned stay as they were; new ones are added. Of a point with a check
/// of ours, only that it failed is believed: the rest is found out.
pub(super) fn settle(list: &[AcceptanceItem], said: Vec<AcceptanceItem>) -> Result<Vec<AcceptanceItem>, Outcome> {
    let mut items = list.to_vec();
    for item in items.iter_mut().filter(|item| item.check.is_some() && item.status == AcceptanceStatus::Failed) {
        (item.status, item.note) = (AcceptanceStatus::Unchecked, String::new());
    }
    for point in said {
        let at = match find(&items, &point.text) {
            Some(at) => at,
            None => {
                let (status, note) = (AcceptanceStatus::Unchecked, String::new());
                items.push(AcceptanceItem { text: point.text, status, note, check: None });
                items.len() - 1
            }
        };
        adopt(&mut items[at], point.check)?;
        if items[at].check.is_none() || point.status == AcceptanceStatus::Failed {
            items[at].status = point.status;
            items[at].note = point.note;
        }
    }
    Ok(items)
}

/// The texts of the points that failed, each with its note.
pub(super) fn failed(items: &[AcceptanceItem]) -> Vec<String> {
    with_notes(items, AcceptanceStatus::Failed)
}

fn with_notes(items: &[AcceptanceItem], status: AcceptanceStatus) -> Vec<String> {
    let items = items.iter().filter(|item| item.status == status);
    items
        .map(|item| if item.note.is_empty() { item.text.clone() } else { format!("{} ({})", item.text, item.note) })
        .collect()
}

/// The person accepts what failed.
pub(super) fn waive(items: &mut [AcceptanceItem]) {
    for item in items {
        if item.status == AcceptanceStatus::Failed {
            item.status = AcceptanceStatus::Waived;
        }
    }
}

/// How the list stands, in one line.
pub(super) fn summary(items: &[AcceptanceItem]) -> String {
    let count = |status| items.iter().filter(|item| item.status == status).count();
    let mut text = format!("Acceptance: {} of {} passed", count(AcceptanceStatus::Passed), items.len());
    for (status, word) in [(AcceptanceStatus::Waived, "waived"), (AcceptanceStatus::Failed, "failed")] {
        if count(status) > 0 {
            text.push_str(&format!(", {} {word}", count(status)));
        }
    }
    let unchecked = with_notes(items, AcceptanceStatus::Unchecked);
    if !unchecked.is_empty() {
        text.push_str(&format!(", {} unchecked: {}", unchecked.len(), unchecked.join("; ")));
    }
    text
}

/// The point that is meant: the one with the same words, else the only one of which the text is a part or the whole.
fn find(items: &[AcceptanceItem], text: &str) -> Option<usize> {
    let text = words(text);
    if let Some(at) = items.iter().position(|item| words(&item.text) == text) {
        return Some(at);
    }
    let alike = |item: &AcceptanceItem| {
        let known = words(&item.text);
        known.contains(&text) || text.contains(&known)
    };
    let mut candidates = items.iter().enumerate().filter(|(_, item)| !text.is_empty() && alike(item));
    match (candidates.next(), candidates.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str, status: AcceptanceStatus) -> AcceptanceItem {
        AcceptanceItem { text: text.to_owned(), status, note: String::new(), check: None }
    }

    #[track_caller]
    fn check(
        list: &[(&str, AcceptanceStatus)],
        said: &[(&str, AcceptanceStatus)],
        expected: &[(&str, AcceptanceStatus)],
    ) {
        let items =
            |pairs: &[(&str, AcceptanceStatus)]| pairs.iter().map(|(text, status)| item(text, *status)).collect();
        let list: Vec<AcceptanceItem> = items(list);
        let expected: Vec<AcceptanceItem> = items(expected);
        assert_eq!(settle(&list, items(said)), Ok(expected));
    }

    use AcceptanceStatus::{Failed, Passed, Unchecked};

    #[test]
    fn what_is_not_mentioned_stays() {
        check(&[("a pdf", Unchecked), ("b", Failed)], &[("A PDF.", Passed)], &[("a pdf", Passed), ("b", Failed)]);
    }

    #[test]
    fn a_part_of_one_point_means_it_and_a_part_of_two_is_new() {
        check(
            &[("has a chart of sales", Unchecked)],
            &[("chart of sales", Passed)],
            &[("has a chart of sales", Passed)],
        );
        check(
            &[("chart of sales", Unchecked), ("chart of costs", Unchecked)],
            &[("chart of", Failed)],
            &[("chart of sales", Unchecked), ("chart of costs", Unchecked), ("chart of", Failed)],
        );
    }

    #[test]
    fn without_a_list_what_is_said_is_the_list() {
        check(&[], &[("opens", Passed), ("opens", Failed)], &[("opens", Failed)]);
    }

    #[test]
    fn waiving_touches_only_what_failed() {
        let mut items = vec![item("a", Passed), item("b", Failed), item("c", Unchecked)];
        waive(&mut items);
        let states: Vec<_> = items.iter().map(|item| item.status).collect();
        assert_eq!(states, [Passed, AcceptanceStatus::Waived, Unchecked]);
        assert_eq!(summary(&items), "Acceptance: 1 of 3 passed, 1 waived, 1 unchecked: c");
    }
}
