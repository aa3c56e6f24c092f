//! A key or password in memory. It cannot be printed, compared or serialised; the one way out says what it is for.

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

    /// The value of an `Authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// The text with the secret taken out, for words of others that may repeat it.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        if self.0.len() < 4 { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
