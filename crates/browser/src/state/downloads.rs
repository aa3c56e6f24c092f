//! What pages give to be kept. The files lie in the browser's box under names of the browser's making; what a page calls
//! them is only a suggestion, and nothing here opens one.

use serde_json::{Value, json};

use super::Post;
use crate::limits::{DOWNLOAD_BYTES_MAX, DOWNLOADS_MAX};

/// A file on its way, or there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Its name in the folder of downloads.
    pub file: String,
    /// What the page calls it.
    pub suggested: String,
    /// Where it came from.
    pub url: String,
    /// Bytes so far, and in all where that is known.
    pub bytes: u64,
    pub bytes_in_all: Option<u64>,
    pub progress: Progress,
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// On its way.
    Running,
    /// Whole.
    Done,
    /// The server or the page broke it off.
    Broken,
    /// It grew over the limit and was stopped.
    TooLarge,
}

/// All of them, by age.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Vec<Download>);

impl Downloads {
    pub(crate) fn all(&self) -> &[Download] {
        &self.0
    }

    pub(crate) fn are_running(&self) -> bool {
        self.0.iter().any(|download| download.progress == Progress::Running)
    }

    /// Takes out what is over, to be told once.
    pub(crate) fn take_ended(&mut self) -> Vec<Download> {
        let (running, ended) = self.0.drain(..).partition(|download| download.progress == Progress::Running);
        self.0 = running;
        ended
    }

    pub(crate) fn begin(&mut self, params: &Value) -> Vec<Post> {
        let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
        let file = text("guid");
        if self.0.len() >= DOWNLOADS_MAX {
            return vec![cancel(&file)];
        }
        if !self.0.iter().any(|known| known.file == file) {
            let (suggested, url) = (text("suggestedFilename"), text("url"));
            let (bytes, bytes_in_all, progress) = (0, None, Progress::Running);
            self.0.push(Download { file, suggested, url, bytes, bytes_in_all, progress });
        }
        Vec::new()
    }

    pub(crate) fn progress(&mut self, params: &Value) -> Vec<Post> {
        let file = params["guid"].as_str().unwrap_or_default();
        let Some(download) = self.0.iter_mut().find(|download| download.file == file) else { return Vec::new() };
        // Sizes come as floating-point numbers.
        let bytes = |key: &str| params[key].as_f64().filter(|bytes| *bytes > 0.0).map(|bytes| bytes as u64);
        download.bytes = bytes("receivedBytes").unwrap_or(0);
        download.bytes_in_all = bytes("totalBytes");
        match params["state"].as_str() {
            Some("completed") => download.progress = Progress::Done,
            Some("canceled") if download.progress == Progress::Running => download.progress = Progress::Broken,
            _ => {}
        }
        let most = download.bytes.max(download.bytes_in_all.unwrap_or(0));
        if most > DOWNLOAD_BYTES_MAX && download.progress == Progress::Running {
            download.progress = Progress::TooLarge;
            return vec![cancel(file)];
        }
        Vec::new()
    }
}

fn cancel(file: &str) -> Post {
    Post::new(None, "Browser.cancelDownload", json!({ "guid": file }))
}
