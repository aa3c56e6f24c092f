//! The bundle: a journal and its blobs as one deterministic text file that anyone with a hash function can check. It is
//! only written and parsed here; whether it holds is [`verify`](crate::verify_bundle)'s question.
//!
//! Every line is one JSON object in canonical form (RFC 8785: keys sorted, no space, integers and strings only) and ends
//! with a line feed. Digests and salts are lower-case hex. Bytes are `{"text":…}` if they are valid UTF-8, else
//! `{"base64":…}`.
//!
//! ```text
//! {"format":"thenar-journal-bundle","genesis":…,"task":…,"v":1}
//! {"envelope":{"kind":…,"payload":…,"prev":…,"seq":1,"time":…,"v":1},"hash":…,"payload":{"text":…},"salt":…}
//! {"blob":…,"content":{"base64":…}}
//! {"head":{"blobs":1,"hash":…,"records":1}}
//! ```
//!
//! The records stand in order, then the blobs by digest, then the head.

use std::{borrow::Cow, fs, io::Write, path::Path};

use serde::Deserialize;

use crate::{
    Blobs, Error, Hash, Reader, Record, Report, Result,
    chain::{INTEGER_MAX, KIND_BYTES_MAX, VERSION, check_name, genesis, push_integer, write_envelope},
    parse_hash, parse_hex, push_hex,
};

const FORMAT: &str = "thenar-journal-bundle";

/// Writes the bundle of a journal and all its blobs. What is appended meanwhile may or may not be in it; what it holds
/// always verifies.
pub fn export(reader: &mut Reader, blobs: &Blobs, out: &mut dyn Write) -> Result<Report> {
    let mut line = Vec::new();
    let task = reader.task().to_owned();
    write_header(&mut line, &task);
    flush_line(out, &mut line)?;
    let head = reader.replay(|record| {
        write_record(&mut line, &record);
        flush_line(out, &mut line)
    })?;
    let digests = blobs.list()?;
    for digest in &digests {
        write_blob(&mut line, digest, &blobs.get(digest)?);
        flush_line(out, &mut line)?;
    }
    let said = HeadLine { blobs: digests.len() as u64, hash: head.hash, records: head.seq };
    write_head(&mut line, &said);
    flush_line(out, &mut line)?;
    out.flush().map_err(|error| Error::io("write bundle", error))?;
    Ok(Report { task, records: said.records, head: said.hash, blobs: said.blobs })
}

/// Writes the bundle to a file that appears whole or not at all.
pub fn export_to_file(reader: &mut Reader, blobs: &Blobs, path: &Path) -> Result<Report> {
    let attempt = || format!("write bundle {}", path.display());
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.part", std::process::id()));
    let file = fs::File::create(&temporary).map_err(|error| Error::io(attempt(), error))?;
    let mut out = std::io::BufWriter::new(file);
    let report = export(reader, blobs, &mut out).and_then(|report| {
        let synced = out.get_ref().sync_data().and_then(|()| fs::rename(&temporary, path));
        synced.map_err(|error| Error::io(attempt(), error))?;
        Ok(report)
    });
    if report.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    report
}

fn flush_line(out: &mut dyn Write, line: &mut Vec<u8>) -> Result<()> {
    line.push(b'\n');
    out.write_all(line).map_err(|error| Error::io("write bundle", error))?;
    line.clear();
    Ok(())
}

fn write_header(out: &mut Vec<u8>, task: &str) {
    out.extend_from_slice(b"{\"format\":\"");
    out.extend_from_slice(FORMAT.as_bytes());
    out.extend_from_slice(b"\",\"genesis\":\"");
    push_hex(out, &genesis(task));
    out.extend_from_slice(b"\",\"task\":");
    push_string(out, task);
    out.extend_from_slice(b",\"v\":");
    push_integer(out, VERSION);
    out.push(b'}');
}

fn write_record(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(b"{\"envelope\":");
    write_envelope(out, record);
    out.extend_from_slice(b",\"hash\":\"");
    push_hex(out, &record.hash);
    out.extend_from_slice(b"\",\"payload\":");
    push_bytes(out, &record.payload);
    out.extend_from_slice(b",\"salt\":\"");
    push_hex(out, &record.salt);
    out.extend_from_slice(b"\"}");
}

fn write_blob(out: &mut Vec<u8>, digest: &Hash, bytes: &[u8]) {
    out.extend_from_slice(b"{\"blob\":\"");
    push_hex(out, digest);
    out.extend_from_slice(b"\",\"content\":");
    push_bytes(out, bytes);
    out.push(b'}');
}

fn write_head(out: &mut Vec<u8>, head: &HeadLine) {
    out.extend_from_slice(b"{\"head\":{\"blobs\":");
    push_integer(out, head.blobs);
    out.extend_from_slice(b",\"hash\":\"");
    push_hex(out, &head.hash);
    out.extend_from_slice(b"\",\"records\":");
    push_integer(out, head.records);
    out.extend_from_slice(b"}}");
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.extend_from_slice(b"{\"text\":");
            push_string(out, text);
            out.push(b'}');
        }
        Err(_) => {
            out.extend_from_slice(b"{\"base64\":\"");
            base64::push(out, bytes);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// The escapes of `serde_json` are those of RFC 8785; a test holds it to that.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// What the last line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLine {
    pub(crate) blobs: u64,
    pub(crate) hash: Hash,
    pub(crate) records: u64,
}

/// What the first line says: the task and its genesis hash.
pub(crate) fn parse_header(line: &[u8]) -> Option<(String, Hash)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        format: String,
        genesis: String,
        task: String,
        v: u64,
    }
    let header: Header = serde_json::from_slice(line).ok()?;
    let said = parse_hash(&header.genesis)?;
    if header.format != FORMAT || header.v != VERSION {
        return None;
    }
    // The genesis hash of the line may be wrong, which is for the verifier to say: only the form is compared here.
    let mut canonical = Vec::with_capacity(line.len());
    write_header(&mut canonical, &header.task);
    let right = crate::hex(&genesis(&header.task));
    let canonical = String::from_utf8(canonical).ok()?.replacen(&right, &header.genesis, 1);
    (canonical.as_bytes() == line).then_some((header.task, said))
}

/// The format of a bundle whose first line is that of a later version; whatever else stands there is for that version.
pub(crate) fn later_format(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Header {
        format: String,
        v: u64,
    }
    let header: Header = serde_json::from_slice(line).ok()?;
    (header.format == FORMAT && header.v > VERSION).then_some(header.v)
}

/// The record of a line, if the line is canonical; nothing in it is checked against anything else.
pub(crate) fn parse_record(line: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        #[serde(borrow)]
        envelope: Envelope<'a>,
        #[serde(borrow)]
        hash: Cow<'a, str>,
        payload: Content,
        #[serde(borrow)]
        salt: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Envelope<'a> {
        #[serde(borrow)]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        payload: Cow<'a, str>,
        #[serde(borrow)]
        prev: Cow<'a, str>,
        seq: u64,
        time: u64,
        v: u64,
    }
    let Line { envelope, hash, payload, salt } = serde_json::from_slice(line).ok()?;
    let plain = check_name("kind", &envelope.kind, KIND_BYTES_MAX).is_ok();
    if !plain || envelope.v != VERSION || envelope.seq > INTEGER_MAX || envelope.time > INTEGER_MAX {
        return None;
    }
    let record = Record {
        seq: envelope.seq,
        time_ms: envelope.time,
        kind: envelope.kind.into_owned(),
        payload: payload.into_bytes()?,
        salt: parse_hex(salt.as_bytes())?,
        payload_digest: parse_hash(&envelope.payload)?,
        prev: parse_hash(&envelope.prev)?,
        hash: parse_hash(&hash)?,
    };
    let mut canonical = Vec::with_capacity(line.len());
    write_record(&mut canonical, &record);
    (canonical == line).then_some(record)
}

/// The name and bytes of a blob's line, if the line is canonical.
pub(crate) fn parse_blob(line: &[u8]) -> Option<(Hash, Vec<u8>)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        blob: String,
        content: Content,
    }
    let Line { blob, content } = serde_json::from_slice(line).ok()?;
    let (digest, bytes) = (parse_hash(&blob)?, content.into_bytes()?);
    let mut canonical = Vec::with_capacity(line.len());
    write_blob(&mut canonical, &digest, &bytes);
    (canonical == line).then_some((digest, bytes))
}

/// What the last line says, if it is canonical.
pub(crate) fn parse_head(line: &[u8]) -> Option<HeadLine> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        head: Inner,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        blobs: u64,
        hash: String,
        records: u64,
    }
    let Line { head } = serde_json::from_slice(line).ok()?;
    let head = HeadLine { blobs: head.blobs, hash: parse_hash(&head.hash)?, records: head.records };
    let mut canonical = Vec::with_capacity(line.len());
    write_head(&mut canonical, &head);
    let small = head.blobs <= INTEGER_MAX && head.records <= INTEGER_MAX;
    (small && canonical == line).then_some(head)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Text(String),
    Base64(String),
}

impl Content {
    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Base64(text) => base64::parse(text.as_bytes()),
        }
    }
}

/// Base64 with padding (RFC 4648, section 4). What is parsed is written again and compared by the callers, so a parse
/// need not refuse what is merely not canonical.
mod base64 {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub(super) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
        for three in bytes.chunks(3) {
            let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for place in 0..4 {
                let digit = (bits >> (18 - 6 * place)) as usize & 63;
                out.push(if place <= three.len() { DIGITS[digit] } else { b'=' });
            }
        }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Vec<u8>> {
        if !text.len().is_multiple_of(4) {
            return None;
        }
        let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
        let mut out = Vec::with_capacity(text.len() / 4 * 3);
        for four in digits.chunks(4) {
            let mut bits = 0u32;
            for place in 0..4 {
                let digit = match four.get(place) {
                    Some(digit) => DIGITS.iter().position(|known| known == digit)? as u32,
                    None => 0,
                };
                bits = bits << 6 | digit;
            }
            out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            let mut out = Vec::new();
            base64::push(&mut out, bytes.as_bytes());
            assert_eq!(out, text.as_bytes());
            assert_eq!(base64::parse(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64::parse(b"Zg="), None);
        assert_eq!(base64::parse(b"Z==="), None);
    }

    /// The escapes of RFC 8785, section 3.2.2.2.
    #[test]
    fn strings_are_escaped_as_the_rfc_says() {
        let mut out = Vec::new();
        push_string(&mut out, "\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}\u{8}\t\u{c}\r\u{1f}\u{2028}");
        let expected = "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\\b\\t\\f\\r\\u001f\u{2028}\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
