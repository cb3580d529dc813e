//! How a value is read, by the rules of the Java class that reads it.

use std::num::{NonZeroU32, NonZeroU64};

use super::draft::Draft;
use super::error::ConfigError;
use super::notice::{Notice, NoticeKind};
use super::settings::Setting;
use super::table::PropertyName;

/// How the value of a key is read, and where in the draft it goes.
///
/// Numbers are whole and fit 32 bits with a sign, as in Java, unless the variant says otherwise.
pub(super) enum Set {
    /// `true` or `false`, in any case.
    Flag(fn(&mut Draft, bool)),
    /// A switch that one word, exactly so, sets; every other text is `otherwise`.
    Word {
        word: &'static str,
        otherwise: &'static str,
        set: fn(&mut Draft, bool),
    },
    /// A port, 0 to 65535.
    Port(fn(&mut Draft, u16)),
    /// A number of a range; others are refused.
    Count {
        range: [u32; 2],
        unit: &'static str,
        set: fn(&mut Draft, u32),
    },
    /// A number; smaller ones are raised, with a notice.
    Raised {
        low: u32,
        why: &'static str,
        set: fn(&mut Draft, u32),
    },
    /// A positive number; for others the default stands, with a notice.
    OrDefault { default: u32, set: fn(&mut Draft, u32) },
    /// A number; 0 and less turn the limit off.
    Limit {
        high: u32,
        unit: &'static str,
        set: fn(&mut Draft, Option<NonZeroU32>),
    },
    /// The same in 64 bits.
    LongLimit {
        high: u64,
        unit: &'static str,
        set: fn(&mut Draft, Option<NonZeroU64>),
    },
    /// A number of 64 bits from 0 on.
    Long {
        unit: &'static str,
        set: fn(&mut Draft, u64),
    },
    /// A number from 0 on, or -1 for none.
    OrNone {
        unit: &'static str,
        set: fn(&mut Draft, Option<u32>),
    },
    /// A fraction from 0 to 1.
    Ratio(fn(&mut Draft, f64)),
    /// What the function takes; `None` from it refuses.
    Text {
        allowed: &'static str,
        set: fn(&mut Draft, &str) -> Option<()>,
    },
}

/// The largest number of 32 bits with a sign.
pub(super) const INT_MAX: u32 = 0x7fff_ffff;

/// The largest number of 64 bits with a sign.
pub(super) const LONG_MAX: u64 = 0x7fff_ffff_ffff_ffff;

impl Set {
    /// Puts the value of `setting` into the draft.
    pub(super) fn apply(&self, draft: &mut Draft, setting: &Setting) -> Result<(), ConfigError> {
        let value = setting.value.as_str();
        let refuse = |allowed: String| setting.refuse(allowed);
        let number = match setting.row.property {
            PropertyName::FileOnly => decimal(value),
            _ => decoded(value),
        };
        match *self {
            Self::Flag(set) => {
                set(draft, flag(value).ok_or_else(|| refuse("true or false".to_owned()))?);
            }
            Self::Word { word, otherwise, set } => {
                if value != word && value != otherwise {
                    draft.notices.push(Notice::new(
                        &setting.place,
                        NoticeKind::ReadAs {
                            key: setting.row.name,
                            value: value.to_owned(),
                            used: otherwise,
                            word,
                        },
                    ));
                }
                set(draft, value == word);
            }
            Self::Port(set) => {
                let port = number.and_then(|number| u16::try_from(number).ok());
                set(draft, port.ok_or_else(|| refuse("a port, 0 to 65535".to_owned()))?);
            }
            Self::Count {
                range: [low, high],
                unit,
                set,
            } => {
                let count = number.and_then(|number| u32::try_from(number).ok());
                let count = count.filter(|count| (low..=high).contains(count));
                set(draft, count.ok_or_else(|| refuse(range(&low, &high, unit)))?);
            }
            Self::Raised { low, why, set } => {
                let number = int(number).ok_or_else(|| refuse(range(&low, &INT_MAX, "")))?;
                let count = u32::try_from(number).unwrap_or(0).max(low);
                if i64::from(count) != i64::from(number) {
                    draft.correct(setting, &count, why);
                }
                set(draft, count);
            }
            Self::OrDefault { default, set } => {
                let number = int(number).ok_or_else(|| refuse(range(&1, &INT_MAX, "")))?;
                let count = u32::try_from(number).ok().filter(|count| *count > 0);
                if count.is_none() {
                    draft.correct(setting, &default, "it must be more than 0");
                }
                set(draft, count.unwrap_or(default));
            }
            Self::Limit { high, unit, set } => {
                let allowed = || refuse(range(&1, &high, unit) + "; 0 or less: no limit");
                let number = int(number).ok_or_else(allowed)?;
                let count = u32::try_from(number).unwrap_or(0);
                if count > high {
                    return Err(allowed());
                }
                set(draft, NonZeroU32::new(count));
            }
            Self::LongLimit { high, unit, set } => {
                let allowed = || refuse(range(&1, &high, unit) + "; 0 or less: no limit");
                let count = u64::try_from(number.ok_or_else(allowed)?).unwrap_or(0);
                if count > high {
                    return Err(allowed());
                }
                set(draft, NonZeroU64::new(count));
            }
            Self::Long { unit, set } => {
                let count = number.and_then(|number| u64::try_from(number).ok());
                set(draft, count.ok_or_else(|| refuse(range(&0, &LONG_MAX, unit)))?);
            }
            Self::OrNone { unit, set } => {
                let number = int(number).filter(|number| *number >= -1);
                let allowed = || refuse(range(&0, &INT_MAX, unit) + ", or -1 for none");
                set(draft, u32::try_from(number.ok_or_else(allowed)?).ok());
            }
            Self::Ratio(set) => {
                let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                set(draft, ratio.ok_or_else(|| refuse("a number from 0 to 1".to_owned()))?);
            }
            Self::Text { allowed, set } => {
                set(draft, value).ok_or_else(|| refuse(allowed.to_owned()))?;
            }
        }
        Ok(())
    }
}

/// `true` or `false` in any case.
///
/// Source: `QuorumPeerConfig.parseBoolean`.
fn flag(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(true),
        () if text.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// Digits, a sign before them or not: what `Integer.parseInt` and `Long.parseLong` take.
pub(super) fn decimal(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number as `Integer.getInteger` and `Long.getLong` take it from a system property: decimal, hexadecimal after `0x`
/// or `#`, octal after `0`, a sign before it or not.
///
/// Source: `Long.decode`.
fn decoded(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        (None, _) => (digits, 10),
    };
    // A second sign would be taken by the parser below.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// A number of Java's `int`.
fn int(number: Option<i64>) -> Option<i32> {
    i32::try_from(number?).ok()
}

/// A time with a unit, milliseconds: `ms`, `s`, `m`, `h` or `d` in any case, and hours without one.
///
/// Source: `QuorumPeerConfig.parseProperties` and `Time.parseTimeInterval` of 3.10. There the product wraps around at 32
/// bits, so that a long interval never purges; here it is refused if it does not fit 64 bits.
pub(super) fn interval_in_hours(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 5] = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let text = text.to_ascii_lowercase();
    let (digits, unit_ms) = UNITS
        .iter()
        .find_map(|(suffix, unit_ms)| Some((text.strip_suffix(suffix)?, *unit_ms)))
        .unwrap_or((&text, 3_600_000));
    decimal(digits)?.checked_mul(unit_ms)
}

fn range(low: &dyn std::fmt::Display, high: &dyn std::fmt::Display, unit: &str) -> String {
    let of = if unit.is_empty() { "" } else { " of " };
    format!("a whole number{of}{unit} from {low} to {high}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_may_be_hexadecimal_or_octal() {
        for (text, expected) in [
            ("10", Some(10)),
            ("+10", Some(10)),
            ("-1", Some(-1)),
            ("0", Some(0)),
            ("0x10", Some(16)),
            ("0X3fffFF", Some(0x3f_ffff)),
            ("#10", Some(16)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("08", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x-1", None),
            ("0x", None),
            ("1e3", None),
            (" 1", None),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }

    #[test]
    fn an_interval_has_a_unit_or_counts_hours() {
        for (text, expected) in [
            ("1", Some(3_600_000)),
            ("0", Some(0)),
            ("-1", Some(-3_600_000)),
            ("500ms", Some(500)),
            ("500MS", Some(500)),
            ("30s", Some(30_000)),
            ("2M", Some(120_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("1000", Some(3_600_000_000)),
            ("9223372036854775807", None),
            ("1 h", None),
            ("h", None),
            ("", None),
            ("1w", None),
        ] {
            assert_eq!(interval_in_hours(text), expected, "{text}");
        }
    }
}
