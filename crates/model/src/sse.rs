//! Lines of an event stream out of chunks that break anywhere. Ours and not a library's because of the limits: a stream
//! comes from outside, and a line without end must not fill the memory.

use crate::Failure;

/// Bytes of one line.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Collects bytes and gives back the payloads of whole `data:` lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// How far the buffer has been searched for a line's end.
    searched: usize,
}

impl Lines {
    /// Takes a chunk in.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() > LINE_BYTES_MAX {
            return Err(Failure::transient(format!("the model's stream has a line over {LINE_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// The next whole line's data; comments, names and blank lines are passed over.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n' || *byte == b'\r');
            let Some(found) = found else {
                self.searched = self.buffer.len();
                return None;
            };
            let end = self.searched + found;
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.searched = 0;
            let line = &line[..line.len() - 1];
            if let Some(data) = line.strip_prefix(b"data:") {
                return Some(data.strip_prefix(b" ").unwrap_or(data).to_vec());
            }
        }
    }

    /// What is left when the stream has ended without a last line end.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        self.buffer.push(b'\n');
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &[u8], expected: &[&str]) {
        for size in [1, 2, 3, 7, stream.len()] {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            for chunk in stream.chunks(size) {
                lines.push(chunk).unwrap();
                seen.extend(std::iter::from_fn(|| lines.next()));
            }
            seen.extend(lines.rest());
            let seen: Vec<_> = seen.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            assert_eq!(seen, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn data_lines_come_out_whole_however_they_are_cut() {
        check(
            b"data: {\"a\":1}\n\ndata:two\r\n\r\n: keep-alive\nevent: x\ndata: \xc3\xa9\n\n",
            &["{\"a\":1}", "two", "é"],
        );
        check(b"data: no end", &["no end"]);
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1024 * 1024];
        assert!((0..20).any(|_| lines.push(&chunk).is_err()));
    }
}
