//! A picture on its way from the browser to the journal's blobs. Who is shown it is settled with the task: the one with
//! numbers is for a model that sees, the small one is for the person who looks back, and for nobody else.

use std::sync::Arc;
use std::time::Duration;

use event::{BlobRef, PageSeen};

use crate::limits::{PAGE_PICTURE_BYTES_MAX, PAGE_PICTURE_MS, PAGE_PICTURES_BYTES_MAX, PICTURE_BYTES_MAX};
use crate::shown;

/// Keeps a picture's bytes, and says how they are found again.
#[derive(Clone)]
pub struct Album(Arc<Keep>);

type Keep = dyn Fn(&[u8]) -> std::io::Result<BlobRef> + Send + Sync;

impl Album {
    /// An album that keeps what it is given in this way.
    pub fn new(keep: impl Fn(&[u8]) -> std::io::Result<BlobRef> + Send + Sync + 'static) -> Self {
        Self(Arc::new(keep))
    }

    /// Keeps a picture that came as base64.
    pub(crate) fn keep(&self, base64: &str) -> Result<BlobRef, String> {
        let bytes = bytes(base64).ok_or("the browser gave no picture")?;
        if bytes.len() > PICTURE_BYTES_MAX {
            return Err(format!("it has {} bytes; {PICTURE_BYTES_MAX} is the most", bytes.len()));
        }
        (self.0)(&bytes).map_err(|error| error.to_string())
    }
}

/// The page that the browser shows, for whoever looks back. The task has pictures of so many bytes so far; once there are as many
/// as are kept, a page is known by its name alone.
pub fn seen(browser: &browser::Browser, album: &Album, bytes: u64) -> Option<PageSeen> {
    let within = Duration::from_millis(PAGE_PICTURE_MS);
    let most = usize::try_from(PAGE_PICTURES_BYTES_MAX.saturating_sub(bytes)).unwrap_or(usize::MAX);
    let page = browser.snapshot(within, most.min(PAGE_PICTURE_BYTES_MAX)).ok().flatten()?;
    let kept = page.jpeg.map(|jpeg| album.keep(&jpeg)).transpose();
    let picture = kept.unwrap_or_else(|error| {
        tracing::warn!(%error, "the picture of a page is not kept");
        None
    });
    Some(PageSeen { title: shown::plain(&page.title), address: shown::plain(&page.address), picture })
}

impl std::fmt::Debug for Album {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Album")
    }
}

/// What base64 stands for; none if it is not that.
fn bytes(base64: &str) -> Option<Vec<u8>> {
    let letters = base64.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3 + 3);
    for four in letters.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for (at, letter) in four.iter().enumerate() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word |= u32::from(value) << (18 - 6 * at);
        }
        if four.len() == 1 {
            return None;
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn base64_becomes_bytes_or_nothing() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("w7/Dvg==", "\u{ff}\u{fe}"),
        ] {
            assert_eq!(bytes(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        for wrong in ["Z", "Zm9vY", "Zm 9", "Zm=v"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
