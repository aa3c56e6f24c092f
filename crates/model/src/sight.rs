//! Which models are shown pictures, and pictures as requests carry them. A model that is not known here is told what pages
//! say in text alone; whoever knows better says so in the configuration.

/// Parts of names of models that take pictures, as their providers list them.
const SEE: &[&str] = &[
    "claude-3",
    "claude-fable",
    "claude-haiku",
    "claude-opus",
    "claude-sonnet",
    "gemini-",
    "gemma-3",
    "gemma-4",
    "gpt-4.1",
    "gpt-4.5",
    "gpt-4o",
    "gpt-5",
    "grok-4",
    "internvl",
    "llama-4",
    "llava",
    "minicpm-v",
    "o4-mini",
    "pixtral",
    "-vision",
    "-vl",
];

/// Those of them that do not.
const BLIND: &[&str] = &["audio", "embed", "gpt-4o-transcribe", "realtime", "tts"];

/// Whether a model, `provider:model`, is known to take pictures.
pub(crate) fn sees(name: &str) -> bool {
    let model = name.split_once(':').map_or(name, |(_, model)| model).to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| model.contains(part));
    // The ones that reason: their small first versions do not.
    let reasons = model.rsplit('/').next().is_some_and(|id| matches!(id, "o1" | "o3"));
    (has(SEE) || reasons) && !has(BLIND)
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64, as every provider takes a picture.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0_u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= three.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_is_known_by_name() {
        for name in [
            "openai:gpt-4.1",
            "anthropic:claude-sonnet-4-5",
            "gemini:gemini-2.5-pro",
            "openai:o3",
            "openai:qwen/qwen2.5-vl-72b",
            "responses:gpt-5-mini",
            "openai:meta-llama/llama-3.2-11b-vision-instruct",
            "anthropic:claude-3-5-haiku-latest",
        ] {
            assert!(sees(name), "{name}");
        }
        for name in [
            "openai:deepseek-chat",
            "openai:o3-mini",
            "openai:gpt-4o-audio-preview",
            "script:demo",
            "openai:qwen3-coder",
        ] {
            assert!(!sees(name), "{name}");
        }
    }

    #[test]
    fn bytes_become_base64() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{ff}\u{fe}", "w7/Dvg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
