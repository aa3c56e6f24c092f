//! The access token: made at the first start, kept in the data folder with nobody else's access. It is never logged.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const FILE: &str = "access-token";
const TOKEN_BYTES: usize = 32;
/// Characters of a token that a person put there themselves.
const CHARS_MIN: usize = 32;
const CHARS_MAX: usize = 256;

/// What a caller must show.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The token of this data folder; made where there is none.
    pub fn open(home: &Path) -> io::Result<Self> {
        let path = home.join(FILE);
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Written aside and linked into place whole: of two first starts one wins, and both read the same.
        let aside = home.join(format!(".{FILE}-{}", &text[..16]));
        let made = (|| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            match std::fs::hard_link(&aside, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        })();
        let _ = std::fs::remove_file(&aside);
        made?;
        read(&path)
    }

    /// The token itself, for the one line that shows its owner the way in.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the token, in a time that does not tell how much of it is right.
    pub(super) fn is(&self, shown: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), shown.as_bytes());
        let mut differs = ours.len() ^ theirs.len();
        for (at, byte) in ours.iter().enumerate() {
            differs |= usize::from(byte ^ theirs.get(at).copied().unwrap_or(0));
        }
        std::hint::black_box(differs) == 0
    }
}

fn read(path: &Path) -> io::Result<Token> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(CHARS_MAX as u64 + 2).read_to_string(&mut text)?;
    let token = text.trim();
    let plain = token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !plain || !(CHARS_MIN..=CHARS_MAX).contains(&token.len()) {
        let what = format!("{} is no access token: remove it, and a new one is made", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(Token(token.to_owned()))
}
