//! How much the HTTP door takes, each limit with its unit in its name. A test may set others; what they bound is said where
//! they are used.

use std::time::Duration;

/// Bytes of a JSON body, and of one word of a form: a text of the greatest length, written with escapes.
pub(super) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The limits of the HTTP door.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at once; more wait with the system.
    pub connections_max: usize,
    /// The head of a request must be there after this long, and the next request of a connection as well.
    pub header_time_max: Duration,
    /// Lines of a head, and bytes of them all.
    pub headers_max: usize,
    pub header_bytes_max: usize,
    /// A reader that takes nothing of what is sent for so long is let go.
    pub stalled_max: Duration,
    /// Requests that one token may make at once, and in each second after that.
    pub burst_requests_max: u32,
    pub requests_per_second: u32,
    /// Wrong tokens at once, and in each second after that.
    pub burst_strangers_max: u32,
    pub strangers_per_second: u32,
    /// Requests with links to tasks at once, and in each second after that, over all links.
    pub burst_guests_max: u32,
    pub guests_per_second: u32,
    /// Requests being answered at once; open listeners are counted apart.
    pub concurrent_max: usize,
    /// A body that stays silent for so long is given up.
    pub body_silence_max: Duration,
    /// A body that is no upload must be there after this long, however steadily it trickles.
    pub body_time_max: Duration,
    /// The same for an upload.
    pub upload_time_max: Duration,
    /// Bytes of all files of one upload.
    pub upload_bytes_max: u64,
    /// Uploads under way at once.
    pub uploads_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            header_time_max: Duration::from_secs(15),
            headers_max: 100,
            header_bytes_max: 32 * 1024,
            stalled_max: Duration::from_mins(2),
            burst_requests_max: 2_000,
            requests_per_second: 500,
            burst_strangers_max: 100,
            strangers_per_second: 10,
            burst_guests_max: 500,
            guests_per_second: 100,
            concurrent_max: 512,
            body_silence_max: Duration::from_secs(30),
            body_time_max: Duration::from_secs(60),
            upload_time_max: Duration::from_hours(6),
            upload_bytes_max: 8 * 1024 * 1024 * 1024,
            uploads_max: 8,
        }
    }
}
