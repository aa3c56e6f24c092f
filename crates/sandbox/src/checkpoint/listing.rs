//! What stood in a tree, entry by entry, as bytes: sorted so that two listings are compared in one pass, and so that a small change to the
//! tree is a small change to the bytes. It opens no file.

use super::codec::{Garbled, Input, put_bytes, put_number, put_signed};
use super::pack::ChunkId;

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the top, which is the empty path; names of any bytes.
    pub(super) path: Vec<u8>,
    /// Permission bits, without set-id bits on files.
    pub(super) mode: u32,
    pub(super) mtime: Moment,
    /// User and group, where they are not those of the top.
    pub(super) owner: Option<(u32, u32)>,
    /// Names and values, sorted.
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) kind: Kind,
}

/// Seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File {
        size: u64,
        parts: Vec<Part>,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name of a file that stands earlier.
    Same {
        path: Vec<u8>,
    },
    /// There, but not kept.
    Left(Left),
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Chunk(ChunkId, u32),
    /// So many bytes that nothing was ever written to.
    Hole(u64),
}

/// Why something is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A socket, a pipe or a device: there is nothing in it to keep.
    Special,
    /// We may not read it.
    Unreadable,
    /// It lies on another file system.
    Elsewhere,
    /// Its path, attributes or holes are more than is kept of one thing.
    TooMuch,
}

impl Kind {
    /// Bytes of the file's data, holes aside.
    pub(super) fn data_bytes(&self) -> u64 {
        match self {
            Self::File { parts, .. } => parts
                .iter()
                .map(|part| match part {
                    Part::Chunk(_, bytes) => u64::from(*bytes),
                    Part::Hole(_) => 0,
                })
                .sum(),
            Self::Folder | Self::Symlink { .. } | Self::Same { .. } | Self::Left(_) => 0,
        }
    }
}

impl Entry {
    /// Whether putting one back over the other would change nothing that counts. A folder's time is its content's doing.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let folders = self.kind == Kind::Folder && other.kind == Kind::Folder;
        let unkept = matches!((&self.kind, &other.kind), (Kind::Left(one), Kind::Left(two)) if one == two);
        unkept
            || self.kind == other.kind
                && self.mode == other.mode
                && self.owner == other.owner
                && self.attributes == other.attributes
                && (folders || self.mtime == other.mtime)
    }

    fn encode(&self, shared: usize, out: &mut Vec<u8>) {
        put_number(out, shared as u64);
        put_bytes(out, &self.path[shared..]);
        put_number(out, u64::from(self.mode));
        put_signed(out, self.mtime.seconds);
        put_number(out, u64::from(self.mtime.nanos));
        match self.owner {
            None => out.push(0),
            Some((user, group)) => {
                out.push(1);
                put_number(out, u64::from(user));
                put_number(out, u64::from(group));
            }
        }
        put_number(out, self.attributes.len() as u64);
        for (name, value) in &self.attributes {
            put_bytes(out, name);
            put_bytes(out, value);
        }
        match &self.kind {
            Kind::Folder => out.push(0),
            Kind::File { size, parts } => {
                out.push(1);
                put_number(out, *size);
                put_number(out, parts.len() as u64);
                for part in parts {
                    match part {
                        Part::Chunk(id, bytes) => {
                            put_number(out, u64::from(*bytes) << 1);
                            out.extend_from_slice(id);
                        }
                        Part::Hole(bytes) => put_number(out, bytes << 1 | 1),
                    }
                }
            }
            Kind::Symlink { target } => {
                out.push(2);
                put_bytes(out, target);
            }
            Kind::Same { path } => {
                out.push(3);
                put_bytes(out, path);
            }
            Kind::Left(left) => {
                out.push(4);
                out.push(match left {
                    Left::Special => 0,
                    Left::Unreadable => 1,
                    Left::Elsewhere => 2,
                    Left::TooMuch => 3,
                });
            }
        }
    }

    fn decode(input: &mut Input<'_>, before: &[u8]) -> Result<Self, Garbled> {
        let shared = usize::try_from(input.number()?).map_err(|_| Garbled)?;
        let mut path = before.get(..shared).ok_or(Garbled)?.to_vec();
        path.extend_from_slice(input.bytes()?);
        let mode = input.small()?;
        let mtime = Moment { seconds: input.signed()?, nanos: input.small()? };
        let owner = match input.byte()? {
            0 => None,
            1 => Some((input.small()?, input.small()?)),
            _ => return Err(Garbled),
        };
        let mut attributes = Vec::new();
        for _ in 0..input.number()? {
            attributes.push((input.bytes()?.to_vec(), input.bytes()?.to_vec()));
        }
        let kind = match input.byte()? {
            0 => Kind::Folder,
            1 => {
                let size = input.number()?;
                let mut parts = Vec::new();
                for _ in 0..input.number()? {
                    let number = input.number()?;
                    parts.push(if number & 1 == 0 {
                        Part::Chunk(input.array()?, u32::try_from(number >> 1).map_err(|_| Garbled)?)
                    } else {
                        Part::Hole(number >> 1)
                    });
                }
                Kind::File { size, parts }
            }
            2 => Kind::Symlink { target: input.bytes()?.to_vec() },
            3 => Kind::Same { path: input.bytes()?.to_vec() },
            4 => Kind::Left(match input.byte()? {
                0 => Left::Special,
                1 => Left::Unreadable,
                2 => Left::Elsewhere,
                3 => Left::TooMuch,
                _ => return Err(Garbled),
            }),
            _ => return Err(Garbled),
        };
        Ok(Self { path, mode, mtime, owner, attributes, kind })
    }
}

/// The order of entries: a folder before what is in it, names by their bytes.
pub(super) fn order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let names = |path| <[u8]>::split(path, |byte: &u8| *byte == b'/');
    match (one.is_empty(), other.is_empty()) {
        (false, false) => names(one).cmp(names(other)),
        (is_top, other_is_top) => other_is_top.cmp(&is_top),
    }
}

/// Whether a path lies below a folder.
pub(super) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() && !path.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The folder of a path and its name in there.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// A listing as it is written, entry after entry in order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) bytes: Vec<u8>,
    last: Vec<u8>,
}

impl Listing {
    pub(super) fn read(bytes: Vec<u8>) -> Self {
        Self { bytes, last: Vec::new() }
    }

    pub(super) fn push(&mut self, entry: &Entry) {
        let shared = self.last.iter().zip(&entry.path).take_while(|(one, other)| one == other).count();
        entry.encode(shared, &mut self.bytes);
        self.last.clone_from(&entry.path);
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { input: Input(&self.bytes), last: Vec::new() }
    }
}

/// The entries of a listing, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Entries<'a> {
    input: Input<'a>,
    last: Vec<u8>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Garbled>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.input.is_empty() {
            return None;
        }
        let entry = Entry::decode(&mut self.input, &self.last);
        match &entry {
            Ok(entry) => self.last.clone_from(&entry.path),
            Err(Garbled) => self.input = Input(&[]),
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        let part = prop_oneof![
            (any::<[u8; 32]>(), any::<u32>()).prop_map(|(id, bytes)| Part::Chunk(id, bytes)),
            (0..u64::MAX / 2).prop_map(Part::Hole)
        ];
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            Just(Kind::Folder),
            (any::<u64>(), prop::collection::vec(part, 0..5)).prop_map(|(size, parts)| Kind::File { size, parts }),
            bytes().prop_map(|target| Kind::Symlink { target }),
            bytes().prop_map(|path| Kind::Same { path }),
            prop_oneof![Just(Left::Special), Just(Left::Unreadable), Just(Left::Elsewhere), Just(Left::TooMuch)]
                .prop_map(Kind::Left),
        ]
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let attributes = prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..3);
        let moment = (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanos)| Moment { seconds, nanos });
        let entry = ("[a-c/]{0,12}", any::<u32>(), moment, any::<Option<(u32, u32)>>(), attributes, kinds());
        let entry = entry.prop_map(|(path, mode, mtime, owner, attributes, kind)| Entry {
            path: path.into_bytes(),
            mode,
            mtime,
            owner,
            attributes,
            kind,
        });
        prop::collection::vec(entry, 0..20)
    }

    proptest! {
        #[test]
        fn what_is_listed_is_read_back(entries in entries()) {
            let mut listing = Listing::default();
            entries.iter().for_each(|entry| listing.push(entry));
            let read: Result<Vec<Entry>, Garbled> = Listing::read(listing.bytes).entries().collect();
            prop_assert_eq!(read, Ok(entries));
        }

        #[test]
        fn no_bytes_at_all_are_read_beyond_their_end(bytes: Vec<u8>) {
            let listing = Listing::read(bytes);
            prop_assert!(listing.entries().count() <= listing.bytes.len());
        }
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it_and_all_of_it_before_the_next() {
        let sorted: [&[u8]; 8] = [b"", b"a", b"a/b", b"a/b/c", b"a/z", b"a!", b"a-b", b"b"];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(order(one, other), at.cmp(&other_at), "{one:?} {other:?}");
            }
        }
        assert!(is_below(b"a/b", b"a") && is_below(b"a", b"") && !is_below(b"a!", b"a") && !is_below(b"", b""));
        assert_eq!((split(b"a/b/c"), split(b"a")), ((&b"a/b"[..], &b"c"[..]), (&b""[..], &b"a"[..])));
    }
}
