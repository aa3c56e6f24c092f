//! Names inside a computer: every name gets an address of its own out of a part of loopback, behind which the proxy listens. No
//! question leaves the machine, so nothing can be told to anybody by asking.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use super::Host;

/// The part of loopback that stands for the world.
const NET: [u8; 2] = [127, 200];
/// Names remembered; the oldest goes for a new one.
const NAMES_MAX: usize = 4096;
/// How long programs may remember an answer, in seconds.
const TTL_S: u32 = 60;
/// Nothing that is asked is longer.
pub(crate) const QUESTION_BYTES_MAX: usize = 512;

const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
const NO_SUCH_NAME: u8 = 3;
const NOT_DONE: u8 = 4;

/// Which address stands for which name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    of_name: HashMap<String, u16>,
    of_place: HashMap<u16, String>,
    order: VecDeque<u16>,
}

impl Names {
    /// The name that an address stands for, if it is known.
    pub(crate) fn name(&self, address: Ipv4Addr) -> Option<&str> {
        self.of_place.get(&place(address)?).map(String::as_str)
    }

    /// The address of a name. The same name mostly gets the same one, also from a proxy that starts anew.
    fn address(&mut self, name: &str) -> Ipv4Addr {
        if let Some(place) = self.of_name.get(name) {
            return address(*place);
        }
        if self.order.len() >= NAMES_MAX
            && let Some(oldest) = self.order.pop_front()
            && let Some(forgotten) = self.of_place.remove(&oldest)
        {
            self.of_name.remove(&forgotten);
        }
        let mut at = scatter(name);
        while at == 0 || at == u16::MAX || self.of_place.contains_key(&at) {
            at = at.wrapping_add(1);
        }
        self.of_name.insert(name.to_owned(), at);
        self.of_place.insert(at, name.to_owned());
        self.order.push_back(at);
        address(at)
    }

    /// The answer to a question; nothing for what is none.
    pub(crate) fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        let header = question.first_chunk::<12>()?;
        let is_query = header[2] & 0xf8 == 0;
        let asks_one = u16::from_be_bytes([header[4], header[5]]) == 1;
        if !is_query || !asks_one {
            return None;
        }
        let (name, end) = read_name(question)?;
        let [kind_high, kind_low, class_high, class_low] = *question.get(end..)?.first_chunk::<4>()?;
        let (kind, class) = (u16::from_be_bytes([kind_high, kind_low]), u16::from_be_bytes([class_high, class_low]));
        let (code, found) = match Host::parse(&name) {
            _ if class != CLASS_IN => (NOT_DONE, None),
            Ok(Host::Name(name)) if name.ends_with(".arpa") => (NO_SUCH_NAME, None),
            Ok(Host::Name(name)) if name == "localhost" || name.ends_with(".localhost") => {
                (0, Some(Ipv4Addr::LOCALHOST))
            }
            Ok(Host::Name(name)) => (0, Some(self.address(&name))),
            Ok(Host::Address(_)) | Err(_) => (NO_SUCH_NAME, None),
        };
        // Of other kinds there is nothing to say; that the name is there, though, must not be denied.
        let found = found.filter(|_| matches!(kind, TYPE_A | TYPE_ANY));
        let mut answer = Vec::with_capacity(end + 20);
        answer.extend_from_slice(&header[..2]);
        answer.extend_from_slice(&[0x80 | header[2] & 1, 0x80 | code]);
        answer.extend_from_slice(&[0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
        answer.extend_from_slice(&question[12..end + 4]);
        if let Some(address) = found {
            // The name is the one in the question.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            answer.extend_from_slice(&TTL_S.to_be_bytes());
            answer.extend_from_slice(&[0, 4]);
            answer.extend_from_slice(&address.octets());
        }
        Some(answer)
    }
}

/// Whether an address is one that stands for the world.
pub(crate) fn is_stand_in(address: Ipv4Addr) -> bool {
    place(address).is_some()
}

fn place(address: Ipv4Addr) -> Option<u16> {
    let [a, b, high, low] = address.octets();
    ([a, b] == NET).then(|| u16::from_be_bytes([high, low]))
}

fn address(place: u16) -> Ipv4Addr {
    let [high, low] = place.to_be_bytes();
    Ipv4Addr::new(NET[0], NET[1], high, low)
}

/// A number that is the same for a name in every process.
fn scatter(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u16::try_from((hash >> 16) ^ (hash & 0xffff)).unwrap_or(1)
}

/// The name in a question, and where it ends. Names that point elsewhere are for answers only.
fn read_name(question: &[u8]) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 {
            return None;
        }
        let label = question.get(at..at + length)?;
        if !name.is_empty() {
            name.push('.');
        }
        // What is no ASCII is no name for us either way.
        name.extend(label.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }));
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut all = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            all.push(u8::try_from(label.len()).unwrap());
            all.extend(label.as_bytes());
        }
        all.push(0);
        all.extend([kind.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());
        all
    }

    fn found(names: &mut Names, name: &str) -> Option<Ipv4Addr> {
        let answer = names.answer(&question(name, TYPE_A)).unwrap();
        assert_eq!(answer[..2], [0xab, 0xcd]);
        (answer[7] == 1).then(|| Ipv4Addr::from(*answer.last_chunk::<4>().unwrap()))
    }

    #[test]
    fn each_name_has_an_address_and_each_address_its_name() {
        let mut names = Names::default();
        let (one, other) = (found(&mut names, "example.org").unwrap(), found(&mut names, "example.net").unwrap());
        assert_ne!(one, other);
        assert_eq!(found(&mut names, "EXAMPLE.org"), Some(one));
        assert_eq!(names.name(one), Some("example.org"));
        assert_eq!(found(&mut Names::default(), "example.org"), Some(one), "the same in the next process");
        assert!(is_stand_in(one) && !is_stand_in(Ipv4Addr::LOCALHOST));
        let answer = names.answer(&question("example.org", 28)).unwrap();
        assert_eq!((answer[3] & 15, answer[7]), (0, 0), "there is no address of the other kind, but there is the name");
        assert_eq!(names.answer(&question("4.3.2.1.in-addr.arpa", 12)).unwrap()[3] & 15, NO_SUCH_NAME);
    }

    #[test]
    fn names_without_end_take_no_room_without_end() {
        let mut names = Names::default();
        for number in 0..2 * NAMES_MAX {
            assert!(found(&mut names, &format!("{number}.leak.example")).is_some());
        }
        assert_eq!((names.of_name.len(), names.of_place.len(), names.order.len()), (NAMES_MAX, NAMES_MAX, NAMES_MAX));
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let mut names = Names::default();
        let sound = question("example.org", TYPE_A);
        for cut in 0..sound.len() {
            assert_eq!(names.answer(&sound[..cut]), None, "{cut} bytes");
        }
        let mut reply = sound.clone();
        reply[2] |= 0x80;
        assert_eq!(names.answer(&reply), None);
        let mut pointer = sound;
        pointer[12] = 0xc0;
        assert_eq!(names.answer(&pointer), None);
    }
}
