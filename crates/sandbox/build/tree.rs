//! A filter of calls as a search tree. The compiler of the rules asks for one number after the other; the kernel goes through that
//! list for every call there is when a filter is installed, and again for each call whose arguments matter. It changes no answer,
//! and the build fails where it would.

use std::collections::BTreeSet;

use seccompiler::sock_filter as Step;

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
/// What the list begins with: the machine is checked, and the number of the call is loaded.
const HEAD: usize = 4;
/// The end of the numbers that are compared, far above what any machine has.
const NUMBERS: u32 = 1024;
/// Calls with other arguments that are compared for each number, and for each where the arguments matter.
const TRIES: u32 = 10;
const TRIES_WITH_RULES: u32 = 1000;

/// What becomes of the calls from a number on.
#[derive(Clone, PartialEq)]
enum Fate {
    Return(u32),
    /// Depends on the arguments: steps of the list.
    Rules(std::ops::Range<usize>),
}

/// The same filter, with the number of the call searched for by halves.
pub(crate) fn tree(list: &[Step]) -> Result<Vec<Step>, String> {
    let fates = fates(list)?;
    let bodies: Vec<_> = fates
        .iter()
        .filter_map(|(_, fate)| match fate {
            Fate::Rules(steps) => Some(steps.clone()),
            Fate::Return(_) => None,
        })
        .collect();
    // Where the arguments are looked at follows the tree, whose size is known only when it is there: made twice.
    let mut places = Vec::new();
    let mut made = Vec::new();
    for _ in 0..2 {
        made = list[..HEAD].to_vec();
        grow(&fates, &bodies, &places, &mut made)?;
        places = bodies
            .iter()
            .scan(made.len(), |next, steps| {
                let here = *next;
                *next += steps.len();
                Some(here)
            })
            .collect();
    }
    made.extend(bodies.iter().flat_map(|steps| list[steps.clone()].iter().cloned()));
    // What is left of the way to the next number of the list leads nowhere that exists.
    made.extend(list.last().cloned());
    let with_rules = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Rules(_)));
    same(list, &made, &with_rules.map(|(number, _)| *number).collect())?;
    Ok(made)
}

/// The parts of the list, by the first number that each is for.
fn fates(list: &[Step]) -> Result<Vec<(u32, Fate)>, String> {
    let step = |at: usize| list.get(at).ok_or("the list of calls ends early");
    let otherwise = Fate::Return(list.last().ok_or("the list of calls is empty")?.k);
    let mut fates = vec![(0, otherwise.clone())];
    let mut here = HEAD;
    while step(here)?.code == JUMP_IF_EQUAL {
        let number = step(here)?.k;
        // Over one step if it is another number, and from there on to where that is asked for.
        let mut next = here + 2;
        while step(next)?.code == JUMP {
            next += 1 + usize::try_from(step(next)?.k).map_err(|error| error.to_string())?;
        }
        let first = if step(here + 1)?.code == JUMP { here + 2 + step(here + 1)?.k as usize } else { here + 1 };
        let fate = match step(first)? {
            Step { code: RETURN, k, .. } => Fate::Return(*k),
            _ => Fate::Rules(here + 1..next),
        };
        if fates.last().is_some_and(|(first, _)| *first == number) {
            fates.pop();
        }
        if fates.last().is_none_or(|(_, last)| *last != fate) {
            fates.push((number, fate));
        }
        fates.push((number + 1, otherwise.clone()));
        here = next;
    }
    Ok(fates)
}

/// Puts the tree of these parts behind what is there.
fn grow(
    fates: &[(u32, Fate)],
    bodies: &[std::ops::Range<usize>],
    places: &[usize],
    made: &mut Vec<Step>,
) -> Result<(), String> {
    let plain = |code, k| Step { code, jt: 0, jf: 0, k };
    let number = |length: usize| u32::try_from(length).map_err(|error| error.to_string());
    if let [(_, fate)] = fates {
        match fate {
            Fate::Return(value) => made.push(plain(RETURN, *value)),
            Fate::Rules(steps) => {
                let place = bodies.iter().position(|body| body == steps).and_then(|body| places.get(body));
                let forward = place.map_or(0, |place| place - made.len() - 1);
                made.push(plain(JUMP, number(forward)?));
            }
        }
        return Ok(());
    }
    let (lower, upper) = fates.split_at(fates.len() / 2);
    let here = made.len();
    made.push(Step { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: upper[0].0 });
    made.push(plain(JUMP, 0));
    grow(lower, bodies, places, made)?;
    made[here + 1].k = number(made.len() - here - 2)?;
    grow(upper, bodies, places, made)
}

/// Fails where two filters answer differently: all numbers, each with many arguments of the kinds that the rules look at.
fn same(one: &[Step], other: &[Step], with_rules: &BTreeSet<u32>) -> Result<(), String> {
    let looked_for: BTreeSet<u32> = one.iter().filter(|step| step.code != JUMP).map(|step| step.k).collect();
    let values: Vec<u32> = looked_for.iter().flat_map(|value| [*value, value | 1, value.wrapping_sub(1)]).collect();
    let mut seed = 0x9e37_79b9_u32;
    let mut next = || {
        // Any numbers will do, as long as each build compares the same (xorshift).
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    let far = [0x4000_0000, 0x7fff_ffff, u32::MAX - 1, u32::MAX];
    for number in (0..NUMBERS).chain(far) {
        for _ in 0..if with_rules.contains(&number) { TRIES_WITH_RULES } else { TRIES } {
            // The number, the machine, where from, and six arguments of two halves.
            let mut call = [0_u32; 16];
            for half in &mut call[4..] {
                *half = match next() % 4 {
                    0 => 0,
                    1 => next(),
                    _ => values[next() as usize % values.len()],
                };
            }
            call[0] = number;
            for machine in [one[1].k, 0] {
                call[1] = machine;
                if answer(one, &call)? != answer(other, &call)? {
                    return Err(format!("the tree answers call {number} otherwise than the list"));
                }
            }
        }
    }
    Ok(())
}

/// What a filter says to a call.
fn answer(steps: &[Step], call: &[u32; 16]) -> Result<u32, String> {
    let (mut here, mut value) = (0, 0);
    loop {
        let step = steps.get(here).ok_or("a filter without end")?;
        here += 1;
        let branch = |is: bool| usize::from(if is { step.jt } else { step.jf });
        match step.code {
            LOAD => value = *call.get(step.k as usize / 4).ok_or("a filter that reads too far")?,
            AND => value &= step.k,
            JUMP => here += step.k as usize,
            JUMP_IF_EQUAL => here += branch(value == step.k),
            JUMP_IF_GREATER => here += branch(value > step.k),
            JUMP_IF_AT_LEAST => here += branch(value >= step.k),
            RETURN => return Ok(step.k),
            unknown => return Err(format!("a step of a filter that is not known: {unknown:#x}")),
        }
    }
}
