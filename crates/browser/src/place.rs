//! Going somewhere: an address, back, forward, again, another tab. What an address leads to is the server's business; which
//! kinds of address there are at all is settled here.

use serde_json::{Value, json};

use crate::limits::{ADDRESS_CHARS_MAX, ANSWER, NAVIGATE};
use crate::line::Ask;
use crate::{Browser, Error, Result};

/// The longest address.
const ADDRESS_BYTES_MAX: usize = 64 * 1024;

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An address of the web.
    Address(String),
    /// The page before this one in the tab.
    Back,
    /// The page after it.
    Forward,
    /// The same page again.
    Reload,
    /// Another tab, by its number.
    Tab(u32),
    /// Close the tab that is shown.
    CloseTab,
}

/// What came of opening an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opened {
    /// A page, which loads now, or asks something before.
    Page,
    /// A file to be downloaded.
    File,
    /// No new page.
    Nothing,
    /// Its server has not begun to answer.
    Slow { seconds: u64 },
    /// It cannot be reached, in words.
    Failed(String),
}

impl Destination {
    /// What a caller's word means: an address, or one of `back`, `forward`, `reload`, `tab N`, `close`.
    ///
    /// # Errors
    /// [`Error::Cannot`] for what is none of these, and for addresses that lead into the browser's own files.
    pub fn read(word: &str) -> Result<Self> {
        let word = word.trim();
        match word.to_ascii_lowercase().as_str() {
            "back" => return Ok(Self::Back),
            "forward" => return Ok(Self::Forward),
            "reload" | "refresh" => return Ok(Self::Reload),
            "close" | "close tab" => return Ok(Self::CloseTab),
            _ => {}
        }
        if let Some(number) = word.strip_prefix("tab ").and_then(|number| number.trim().parse().ok()) {
            return Ok(Self::Tab(number));
        }
        if word.is_empty() || word.len() > ADDRESS_BYTES_MAX || word.contains(char::is_control) {
            return Err(Error::Cannot(format!(
                "an address has 1 to {ADDRESS_BYTES_MAX} bytes and no control characters"
            )));
        }
        let (scheme, rest) = word.split_once(':').unwrap_or(("", word));
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" if rest.starts_with("//") => Ok(Self::Address(word.to_owned())),
            "data" => Ok(Self::Address(word.to_owned())),
            "about" if rest == "blank" => Ok(Self::Address(word.to_owned())),
            // A host with its port, or with none.
            _ if is_host(word) => Ok(Self::Address(format!("{}://{word}", scheme_for(word)))),
            _ => Err(Error::Cannot(format!(
                "{:?} is no address that can be opened: http://, https:// and data: can",
                word.chars().take(80).collect::<String>()
            ))),
        }
    }
}

/// Whether a word begins like the name of a server, its port included.
fn is_host(word: &str) -> bool {
    let host = word.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let letters = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    let named = name.contains('.') || name.eq_ignore_ascii_case("localhost");
    named && !name.starts_with('.') && name.chars().all(letters) && port.parse::<u16>().is_ok()
}

/// Servers of the computer itself have no certificates.
fn scheme_for(word: &str) -> &'static str {
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    if host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") { "http" } else { "https" }
}

impl Browser {
    /// Goes there and says what is there.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is no such place.
    pub fn navigate(&self, to: &Destination) -> Result<String> {
        let target = self.page()?;
        match to {
            Destination::Address(url) => self.go(&target, url),
            Destination::Reload => {
                self.no_dialog(&target)?;
                self.move_on(&target, "Page.reload", json!({}))?;
                self.arrived(&target, "Loaded again.")
            }
            Destination::Back => self.step(&target, -1),
            Destination::Forward => self.step(&target, 1),
            Destination::Tab(number) => self.to_tab(*number),
            Destination::CloseTab => {
                self.ask_browser("Target.closeTarget", json!({ "targetId": target }), ANSWER)?;
                let gone = |state: &mut crate::state::State| state.tab(&target).is_none().then_some(());
                self.line.wait_for(ANSWER, gone)?;
                let now = self.page()?;
                self.arrived(&now, "Closed.")
            }
        }
    }

    fn go(&self, target: &str, url: &str) -> Result<String> {
        let shown: String = url.chars().take(ADDRESS_CHARS_MAX).collect();
        match self.open(target, url)? {
            Opened::Page => self.arrived(target, "Opened."),
            Opened::File => self.arrived(target, "The address is a file to be kept; its page is not shown."),
            Opened::Nothing => self.arrived(target, "The navigation ended without a new page."),
            Opened::Failed(reason) => Ok(self.with_news(format!("{shown} cannot be opened: {reason}"))),
            Opened::Slow { seconds } => {
                let text = format!(
                    "{shown} has not begun to answer within {seconds} s; it is still waited for. Look again with browser_view."
                );
                Ok(self.with_news(text))
            }
        }
    }

    /// Opens an address in a tab, for whomever, and waits until its server begins to answer.
    pub(crate) fn open(&self, target: &str, url: &str) -> Result<Opened> {
        // A question that is left standing is answered with no: whoever goes elsewhere has not said yes to it. Whether the page
        // may be left is no question here.
        self.answer_dialog(target, false, None)?;
        self.close_chooser(target);
        let session = self.session(target)?;
        let (session, params) = (Some(&*session), json!({ "url": url }));
        let ask = Ask { session, method: "Page.navigate", params, within: NAVIGATE, tab: Some(target) };
        match self.line.ask(ask) {
            Ok(answer) if answer["isDownload"] == true => Ok(Opened::File),
            Ok(answer) => Ok(match answer["errorText"].as_str() {
                None => Opened::Page,
                // What is to be downloaded ends its navigation like this.
                Some("net::ERR_ABORTED") => Opened::Nothing,
                Some(error) => Opened::Failed(network_error(error)),
            }),
            Err(Error::Dialog) => Ok(Opened::Page),
            Err(Error::Silent { seconds, .. }) => Ok(Opened::Slow { seconds }),
            Err(Error::Refused { reason, .. }) => {
                let shown: String = url.chars().take(ADDRESS_CHARS_MAX).collect();
                Err(Error::Cannot(format!("{shown} cannot be opened: {reason}")))
            }
            Err(error) => Err(error),
        }
    }

    /// One step in the history of a tab.
    fn step(&self, target: &str, by: i64) -> Result<String> {
        self.no_dialog(target)?;
        let entry = self.in_history(target, by)?;
        self.move_on(target, "Page.navigateToHistoryEntry", json!({ "entryId": entry }))?;
        self.arrived(target, if by < 0 { "Went back." } else { "Went forward." })
    }

    /// The number of a page in the history of a tab, so many steps from the one that is shown.
    pub(crate) fn in_history(&self, target: &str, by: i64) -> Result<i64> {
        let history = self.ask_page(target, "Page.getNavigationHistory", json!({}), ANSWER)?;
        let at = history["currentIndex"].as_i64().unwrap_or(0) + by;
        let entry = usize::try_from(at).ok().and_then(|at| history["entries"].get(at));
        let entry = entry.and_then(|entry| entry["id"].as_i64());
        entry.ok_or_else(|| Error::Cannot("the tab has no such page in its history".to_owned()))
    }

    /// Asks for another document, and waits until it has begun; some are there before one can look.
    fn move_on(&self, target: &str, method: &str, params: Value) -> Result<()> {
        let navigations = self.line.state(|state| state.tab(target).map_or(0, |tab| tab.navigations));
        self.act_page(target, &[(method, params)])?;
        self.line.wait_for(std::time::Duration::from_millis(400), |state| {
            let tab = state.tab(target)?;
            (tab.navigations > navigations || tab.is_loading() || tab.dialog.is_some()).then_some(())
        })?;
        Ok(())
    }

    fn to_tab(&self, number: u32) -> Result<String> {
        let target = self.tab_numbered(number)?;
        self.show(&target)?;
        self.arrived(&target, &format!("Tab {number} is shown."))
    }

    /// The tab of a number.
    pub(crate) fn tab_numbered(&self, number: u32) -> Result<String> {
        let found = self.line.state(|state| {
            let tab = state.tabs().iter().find(|tab| tab.number == number);
            tab.map(|tab| tab.target.clone())
                .ok_or_else(|| state.tabs().iter().map(|tab| tab.number.to_string()).collect::<Vec<_>>())
        });
        found.map_err(|open| Error::Cannot(format!("there is no tab {number}; open: {}", open.join(", "))))
    }

    /// A new page is told whole, not by what changed.
    fn arrived(&self, target: &str, done: &str) -> Result<String> {
        self.mine().shown.remove(target);
        self.after(done)
    }
}

/// What the browser calls an error of the network, and what it means for the one who wanted to go there.
pub(crate) fn network_error(code: &str) -> String {
    let words = match code {
        "net::ERR_NAME_NOT_RESOLVED" => "no such host is known, or it may not be reached from here",
        "net::ERR_CONNECTION_REFUSED" => "nothing listens there",
        "net::ERR_CONNECTION_TIMED_OUT" | "net::ERR_TIMED_OUT" => "it did not answer in time",
        "net::ERR_CONNECTION_CLOSED" | "net::ERR_CONNECTION_RESET" | "net::ERR_EMPTY_RESPONSE" => {
            "it closed the connection without an answer"
        }
        "net::ERR_INTERNET_DISCONNECTED" | "net::ERR_ADDRESS_UNREACHABLE" | "net::ERR_NETWORK_UNREACHABLE" => {
            "the computer has no way there"
        }
        "net::ERR_TOO_MANY_REDIRECTS" => "its server sends the browser from address to address without end",
        "net::ERR_UNSAFE_PORT" => "browsers refuse that port",
        "net::ERR_INVALID_URL" => "it is no valid address",
        "net::ERR_CERT_AUTHORITY_INVALID" | "net::ERR_CERT_COMMON_NAME_INVALID" | "net::ERR_CERT_DATE_INVALID" => {
            "its certificate cannot be trusted"
        }
        _ => return code.to_owned(),
    };
    format!("{words} ({code})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_places_and_nothing_leads_into_the_browsers_own_files() {
        let address = |url: &str| Ok(Destination::Address(url.to_owned()));
        for (word, place) in [
            (" https://example.org/a?b#c ", address("https://example.org/a?b#c")),
            ("example.org/a", address("https://example.org/a")),
            ("localhost:8000", address("http://localhost:8000")),
            ("127.0.0.1:80/x", address("http://127.0.0.1:80/x")),
            ("about:blank", address("about:blank")),
            ("back", Ok(Destination::Back)),
            ("tab 12", Ok(Destination::Tab(12))),
        ] {
            assert_eq!(Destination::read(word), place, "{word}");
        }
        for word in [
            "",
            "file:///etc/passwd",
            "FILE:/etc/passwd",
            "chrome://version",
            "devtools://x",
            "javascript:alert(1)",
            "view-source:http://a.b",
            "about:version",
            "http:no-slashes",
            "a b",
            "passwd",
            "filesystem:http://a.b/",
            "blob:http://a.b/c",
            "http://a\u{0}b",
        ] {
            assert!(matches!(Destination::read(word), Err(Error::Cannot(_))), "{word}");
        }
    }
}
