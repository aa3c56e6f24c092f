//! A value that programs in a computer use and never hold: they have a placeholder, and the proxy puts the value in its place on the
//! way to the hosts that it is for. Nothing here can print or write a value.

/// A placeholder and what it stands for.
///
/// It cannot be printed:
///
/// ```compile_fail,E0277
/// fn shown(secret: &sandbox::egress::Secret) -> String {
///     format!("{secret:?}")
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn shown(secret: &sandbox::egress::Secret) -> String {
///     format!("{secret}")
/// }
/// ```
///
/// nor written down:
///
/// ```compile_fail,E0277
/// fn written(secret: &sandbox::egress::Secret) -> Vec<u8> {
///     serde_json::to_vec(secret).unwrap()
/// }
/// ```
#[expect(missing_debug_implementations, reason = "it must not be printed")]
#[derive(PartialEq, Eq)]
pub struct Secret {
    placeholder: Vec<u8>,
    value: Vec<u8>,
    in_clear: bool,
}

/// How a request travels on from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Going {
    /// Inside TLS to a server that proved who it is.
    Sealed,
    /// As it is, for everybody on the way to read.
    InClear,
}

impl Secret {
    /// A value for the headers of requests inside TLS; one that could end a header is none.
    pub fn new(placeholder: &str, value: &str) -> Option<Self> {
        let sound = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let (placeholder_bytes, value_bytes) = (placeholder.as_bytes().to_vec(), value.as_bytes().to_vec());
        let secret = Self { placeholder: placeholder_bytes, value: value_bytes, in_clear: false };
        (sound(placeholder) && sound(value)).then_some(secret)
    }

    /// The same for plain requests too: its owner said so of the place it is for. What runs in the computer must not be the one who says.
    #[must_use]
    pub fn in_clear_too(self) -> Self {
        Self { in_clear: true, ..self }
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether it may go like this.
    pub(crate) fn may_go(&self, going: Going) -> bool {
        self.in_clear || going == Going::Sealed
    }

    /// A header's value with the secret in its place, so often at most, if the placeholder is in it.
    pub(crate) fn put_into(&self, header: &[u8], times: &mut usize) -> Option<Vec<u8>> {
        let find = |rest: &[u8]| rest.windows(self.placeholder.len()).position(|part| part == self.placeholder);
        let mut rest = header;
        let mut with = Vec::new();
        while *times > 0
            && let Some(at) = find(rest)
        {
            *times -= 1;
            with.extend_from_slice(&rest[..at]);
            with.extend_from_slice(&self.value);
            rest = &rest[at + self.placeholder.len()..];
        }
        if with.is_empty() {
            return None;
        }
        with.extend_from_slice(rest);
        Some(with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_stands_where_the_placeholder_stood() {
        let secret = Secret::new("holder-1", "v").unwrap();
        let mut times = 4;
        let mut put = |header: &str| secret.put_into(header.as_bytes(), &mut times);
        assert_eq!(put("Bearer holder-1").as_deref(), Some(&b"Bearer v"[..]));
        assert_eq!(put("holder-1, holder-1;").as_deref(), Some(&b"v, v;"[..]));
        assert_eq!(put("holder-2"), None);
        assert_eq!(put("holder-1, holder-1").as_deref(), Some(&b"v, holder-1"[..]));
        assert_eq!(put("holder-1"), None);
        assert!(Secret::new("holder-1", "a\r\nHost: evil").is_none());
        assert!(Secret::new("", "v").is_none());
    }
}
