//! What a real browser makes of real pages, good ones and bad ones. It runs in the box that it runs in for a task, and so
//! does the server of the pages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acting;
mod bad_pages;
mod desk;
mod seeing;
