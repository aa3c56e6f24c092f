//! Durations, money and times as people write and read them. Nothing here prints.

use event::MicroUsd;

/// `90s`, `5m`, `2h`, `1d`, `1h30m`; a bare number is seconds. In milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 5m, 2h or 1h30m");
    let (mut total, mut number) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return Err(wrong()),
        };
        let count: u64 = number.parse().map_err(|_| wrong())?;
        total = count.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        number.clear();
    }
    if !number.is_empty() {
        let seconds: u64 = number.parse().map_err(|_| wrong())?;
        total = seconds.checked_mul(1_000).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    if total == 0 { Err(wrong()) } else { Ok(total) }
}

/// `512M`, `4G`, `16 GiB`: at least one MiB, in powers of two.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write 512M or 4G");
    let plain = text.trim();
    let end = plain.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let unit: u64 = match plain[end..].trim() {
        "M" | "MB" | "MiB" => 1 << 20,
        "G" | "GB" | "GiB" => 1 << 30,
        "T" | "TB" | "TiB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let count: u64 = plain[..end].parse().map_err(|_| wrong())?;
    count.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// `2.50`, `$0.10`: US dollars.
pub(crate) fn money(text: &str) -> Result<MicroUsd, String> {
    let wrong = || format!("{text:?} is no amount: write US dollars, for instance 0.50");
    let plain = text.trim().trim_start_matches('$').trim_end_matches("USD").trim();
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return Err(wrong());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    whole.checked_mul(1_000_000).and_then(|sum| sum.checked_add(part)).map(MicroUsd).ok_or_else(wrong)
}

/// A moment in the person's own time zone.
pub(crate) fn moment(ms: u64) -> String {
    let timestamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map(|timestamp| timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

/// `350 ms`, `4.2 s`, `3 min 5 s`.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        _ => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

/// `14 B`, `3.2 kB`, `1.1 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_to_be_kept_to() {
        for (text, mib) in [("512M", 512), ("4G", 4096), ("16 GiB", 16_384), ("1T", 1 << 20)] {
            assert_eq!(bytes(text), Ok(mib << 20), "{text}");
        }
        for text in ["", "4", "4 K", "-1G", "0G", "1.5G", "99999999999999999999G", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("45", 45_000), ("1d", 86_400_000)] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "0s", "h", "5 m", "-1s", "1.5h", "99999999999999999999s", "99999999999999999d"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts() {
        for (text, micros) in
            [("2.50", 2_500_000), ("$0.10", 100_000), ("3", 3_000_000), (".5", 500_000), ("0.000001", 1)]
        {
            assert_eq!(money(text), Ok(MicroUsd(micros)), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "1,5", "0.0000001", "99999999999999999999"] {
            assert!(money(text).is_err(), "{text}");
        }
    }
}
