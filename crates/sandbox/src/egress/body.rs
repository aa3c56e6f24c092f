//! Where the body of a request ends, so that nothing of a second request passes with the first. It changes nothing in it.

/// The longest line of a chunked body, and the most of what follows its last chunk.
const LINE_BYTES_MAX: u32 = 8 * 1024;

/// A body on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, each with its length before it.
    Chunked(Place, u32),
}

/// Where in a chunked body one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a length, read so far; whether a digit has come.
    Size(u64, bool),
    /// In what may follow a length on its line, which is passed over.
    Extension(u64),
    /// Before the second half of that line's ending.
    SizeEnd(u64),
    /// In a chunk, with so much to come.
    Data(u64),
    /// Before the ending of a chunk; whether its first half has come.
    DataEnd(bool),
    /// In a line after the last chunk; whether anything has come of it.
    Trailer(bool),
    /// Before the second half of such a line's ending; whether the line held anything.
    TrailerEnd(bool),
    /// Past the end.
    Over,
}

impl Body {
    pub(crate) fn nothing() -> Self {
        Self::Length(0)
    }

    pub(crate) fn of_length(length: u64) -> Self {
        Self::Length(length)
    }

    pub(crate) fn chunked() -> Self {
        Self::Chunked(Place::Size(0, false), 0)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Place::Over, _))
    }

    /// How many of these bytes belong to it.
    ///
    /// # Errors
    /// If they are no such body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(taken).unwrap_or(*left);
                Ok(taken)
            }
            Self::Chunked(place, line) => {
                let mut at = 0;
                while at < bytes.len() && *place != Place::Over {
                    if let Place::Data(left) = place {
                        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                        at += taken;
                        let left = *left - u64::try_from(taken).unwrap_or(*left);
                        *place = if left == 0 { Place::DataEnd(false) } else { Place::Data(left) };
                        *line = 0;
                        continue;
                    }
                    *line += 1;
                    if *line > LINE_BYTES_MAX {
                        return Err("a line of the chunked body is too long");
                    }
                    *place = place.after(bytes[at]).ok_or("the chunked body is not well formed")?;
                    at += 1;
                }
                Ok(at)
            }
        }
    }
}

impl Place {
    /// The place after a byte of what is no data.
    fn after(self, byte: u8) -> Option<Self> {
        let past = |size| if size == 0 { Self::Trailer(false) } else { Self::Data(size) };
        Some(match (self, byte) {
            (Self::Size(size, _), _) if byte.is_ascii_hexdigit() && size >> 56 == 0 => {
                Self::Size(size << 4 | u64::from(char::from(byte).to_digit(16)?), true)
            }
            (Self::Size(size, true), b'\r') => Self::SizeEnd(size),
            (Self::Size(size, true), b';') => Self::Extension(size),
            (Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Extension(size), _) if byte != b'\n' => Self::Extension(size),
            (Self::SizeEnd(size), b'\n') => past(size),
            (Self::DataEnd(false), b'\r') => Self::DataEnd(true),
            (Self::DataEnd(true), b'\n') => Self::Size(0, false),
            (Self::Trailer(some), b'\r') => Self::TrailerEnd(some),
            (Self::Trailer(_), _) if byte != b'\n' => Self::Trailer(true),
            (Self::TrailerEnd(true), b'\n') => Self::Trailer(false),
            (Self::TrailerEnd(false), b'\n') => Self::Over,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_it_says_wherever_it_is_cut() {
        let chunked = "4;x=y\r\nabcd\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n";
        for (body, text) in [(Body::of_length(4), "abcd"), (Body::chunked(), chunked), (Body::nothing(), "")] {
            let all = format!("{text}GET / HTTP/1.1\r\n");
            for cut in 0..=all.len() {
                let mut body = body;
                let (one, other) = all.as_bytes().split_at(cut);
                let taken = body.feed(one).unwrap() + body.feed(other).unwrap();
                assert!(taken == text.len() && body.is_over(), "{text:?} cut at {cut}: {taken}");
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bad in ["\r\n", "x\r\n", "4\nabcd", "4\r\nabcdX", "4\r\nabcd\n", "0\r\nA: b\n", "-1\r\n", "0x4\r\n"] {
            assert!(Body::chunked().feed(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Body::chunked().feed(&[b'0'; 100]).is_ok());
        assert!(Body::chunked().feed(b"1ffffffffffffffffff\r\n").is_err());
        assert!(Body::chunked().feed(format!("1;{}", "x".repeat(9_000)).as_bytes()).is_err());
    }
}
