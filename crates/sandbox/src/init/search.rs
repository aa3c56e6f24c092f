//! Finding files by name and lines by expression, inside. Bounded in entries, depth and bytes; it follows no link.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use regex::bytes::{Regex, RegexBuilder};

use super::files;
use crate::request::{FileAnswer, FoundLine};

/// Files and folders looked at in one search.
const ENTRIES_MAX: usize = 200_000;
/// Folders inside folders.
const DEPTH_MAX: usize = 128;
/// Size of the largest file that is looked into.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest line looked at, and given back.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
const LINE_SHOWN_CHARS: usize = 400;
/// Most results of one search, whatever is asked for.
const FOUND_MAX: u64 = 10_000;
/// Memory of a compiled expression.
const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Folders that hold no work of a person.
const SKIPPED: &[&str] = &[".git", "node_modules", "__pycache__"];

pub(super) fn in_content(top: &Path, pattern: &str, max: u64) -> Result<FileAnswer, String> {
    let pattern = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| format!("the expression is not valid: {error}"))?;
    let max = max.clamp(1, FOUND_MAX) as usize;
    let mut found = Vec::new();
    let about = fs::metadata(top).map_err(files::says("search", top))?;
    if !about.is_dir() {
        lines(top, &pattern, max, &mut found)?;
    } else {
        let (entries, cut) = walk(top)?;
        for entry in entries.iter().filter(|entry| entry.is_file && entry.size <= FILE_BYTES_MAX) {
            // What cannot be read is passed over, as grep -s does.
            let _ = lines(&entry.path, &pattern, max, &mut found);
            if found.len() > max {
                break;
            }
        }
        if cut && found.len() <= max {
            return Ok(FileAnswer::Lines { found, more: true });
        }
    }
    let more = found.len() > max;
    found.truncate(max);
    Ok(FileAnswer::Lines { found, more })
}

/// Collects matching lines of one file, one more than asked for, so that "more" can be told.
fn lines(path: &Path, pattern: &Regex, max: usize, found: &mut Vec<FoundLine>) -> Result<(), String> {
    let (file, _) = files::open(path)?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    if files::is_binary(reader.fill_buf().map_err(files::says("read", path))?) {
        return Ok(());
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read =
            (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(files::says("read", path))?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            reader.skip_until(b'\n').map_err(files::says("read", path))?;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if pattern.is_match(text) {
            let text = String::from_utf8_lossy(text).chars().take(LINE_SHOWN_CHARS).collect();
            found.push(FoundLine { path: path.display().to_string(), line: number, text });
            if found.len() > max {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(super) fn by_name(top: &Path, glob: &str, max: u64) -> Result<FileAnswer, String> {
    // A pattern without a slash speaks of names anywhere; one with a slash, of the path from the top.
    let by_path = glob.contains('/');
    let wanted = glob.strip_prefix("./").unwrap_or(glob);
    let wanted: GlobMatcher = GlobBuilder::new(wanted)
        .literal_separator(by_path)
        .build()
        .map_err(|error| format!("the pattern is not valid: {error}"))?
        .compile_matcher();
    let max = max.clamp(1, FOUND_MAX) as usize;
    let (entries, cut) = walk(top)?;
    let matches = entries.iter().filter(|entry| {
        let path = entry.path.strip_prefix(top).unwrap_or(&entry.path);
        if by_path { wanted.is_match(path) } else { path.file_name().is_some_and(|name| wanted.is_match(name)) }
    });
    let mut found: Vec<String> = matches
        .map(|entry| format!("{}{}", entry.path.display(), if entry.is_folder { "/" } else { "" }))
        .take(max + 1)
        .collect();
    let more = cut || found.len() > max;
    found.truncate(max);
    Ok(FileAnswer::Paths { found, more })
}

struct Entry {
    path: PathBuf,
    is_file: bool,
    is_folder: bool,
    size: u64,
}

/// Everything below a folder, sorted by path; whether a ceiling was met.
fn walk(top: &Path) -> Result<(Vec<Entry>, bool), String> {
    let about = fs::metadata(top).map_err(files::says("search", top))?;
    if !about.is_dir() {
        return Err(format!("{} is not a folder", top.display()));
    }
    let (mut found, mut cut) = (Vec::new(), false);
    let mut folders = vec![(top.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if found.len() >= ENTRIES_MAX {
                cut = true;
                break;
            }
            // Not through links: they may lead in circles.
            let Ok(about) = entry.metadata() else { continue };
            let path = entry.path();
            if about.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                if depth < DEPTH_MAX { folders.push((path.clone(), depth + 1)) } else { cut = true }
            }
            found.push(Entry { path, is_file: about.is_file(), is_folder: about.is_dir(), size: about.len() });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, cut))
}
