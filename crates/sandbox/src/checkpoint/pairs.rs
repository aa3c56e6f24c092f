//! Two listings gone through side by side, each entry in memory only while it is looked at. It judges no difference.

use super::garbled;
use super::listing::{Entries, Entry, Listing, order};
use crate::Result;

/// Two listings side by side.
pub(super) struct Pairs<'a> {
    here: std::iter::Peekable<Entries<'a>>,
    there: std::iter::Peekable<Entries<'a>>,
}

/// One path of them.
#[derive(Debug)]
pub(super) enum Pair {
    Here(Entry),
    There(Entry),
    Both(Entry, Entry),
}

impl<'a> Pairs<'a> {
    pub(super) fn of(here: &'a Listing, there: &'a Listing) -> Self {
        Self { here: here.entries().peekable(), there: there.entries().peekable() }
    }

    pub(super) fn each(mut self, mut each: impl FnMut(Pair) -> Result<()>) -> Result<()> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        loop {
            let side = match (self.here.peek(), self.there.peek()) {
                (None, None) => return Ok(()),
                (Some(Ok(here)), Some(Ok(there))) => order(&here.path, &there.path),
                (Some(_), None) => Less,
                (None, Some(_)) => Greater,
                (Some(Err(_)), _) | (_, Some(Err(_))) => return Err(garbled(super::codec::Garbled)),
            };
            let here = if side.is_le() { self.here.next().transpose().map_err(garbled)? } else { None };
            let there = if side.is_ge() { self.there.next().transpose().map_err(garbled)? } else { None };
            match (side, here, there) {
                (Equal, Some(here), Some(there)) => each(Pair::Both(here, there))?,
                (_, Some(here), None) => each(Pair::Here(here))?,
                (_, None, Some(there)) => each(Pair::There(there))?,
                _ => return Ok(()),
            }
        }
    }
}
