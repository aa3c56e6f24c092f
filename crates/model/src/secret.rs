//! A key or password in memory. It cannot be printed, compared or serialised; the one way out says what it is for.

use reqwest::header::HeaderValue;

/// A shorter secret than this is a word that others may use too.
const TAKEN_OUT_BYTES_MIN: usize = 4;

/// A secret.
///
/// ```compile_fail,E0277
/// fn show(secret: &model::Secret) -> String {
///     secret.to_string()
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn write(secret: &model::Secret) -> Vec<u8> {
///     event::canonical(secret)
/// }
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value of an `Authorization` header, marked so that nobody logs it; none where no header can hold the secret.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0.trim())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The value of a header that holds the key alone, marked and refused like that of [`Self::bearer`].
    pub(crate) fn bare(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(self.0.trim()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The text with the secret taken out, for words of others that may repeat it.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        let secret = self.0.trim();
        if secret.len() < TAKEN_OUT_BYTES_MIN { text.to_owned() } else { text.replace(secret, "[key]") }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_read_from_a_file_still_fits_a_header_and_is_never_shown() {
        let key = Secret::new("sk-abcdef\n");
        assert_eq!(key.bearer().unwrap().to_str().unwrap(), "Bearer sk-abcdef");
        assert_eq!(format!("{key:?} {:?}", key.bearer().unwrap()), "Secret Sensitive");
        assert_eq!(key.taken_out_of("wrong key: sk-abcdef."), "wrong key: [key].");
        assert!(Secret::new("two\nlines").bearer().is_none());
    }
}
