//! How Java writes numbers, addresses and dates.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};

use zebu_proto::WallMillis;

use crate::VERSION;

/// When this binary was made, in the form of Java's: `2026-02-11 20:18 UTC`. Whoever builds a release sets the variable;
/// without it there is no knowing, and clients that read a date get one that no release has.
const BUILT_ON: &str = match option_env!("ZEBU_BUILT_ON") {
    Some(date) => date,
    None => "1970-01-01 00:00 UTC",
};

/// The version as the words show it.
pub(super) fn version() -> String {
    format!("{VERSION}, built on {BUILT_ON}")
}

/// A number as Java writes a `double` that it has rounded to four places: `0.0`, `2.015`.
///
/// Source: `AvgMinMaxCounter.getAvg`.
pub(super) struct Decimal(pub(super) f64);

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 10_000.0).round() / 10_000.0;
        write!(f, "{rounded:?}")
    }
}

/// An address as Java writes a socket's: `/127.0.0.1:2181`, `/[0:0:0:0:0:0:0:1]:2181`.
pub(super) struct Address(pub(super) SocketAddr);

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.ip().to_canonical() {
            IpAddr::V4(ip) => write!(f, "/{ip}:{}", self.0.port()),
            IpAddr::V6(ip) => {
                let [first, rest @ ..] = ip.segments();
                write!(f, "/[{first:x}")?;
                rest.iter().try_for_each(|segment| write!(f, ":{segment:x}"))?;
                write!(f, "]:{}", self.0.port())
            }
        }
    }
}

/// A moment as `java.util.Date` writes it in UTC: `Mon Nov 23 15:48:06 UTC 2026`.
pub(super) struct Date(pub(super) WallMillis);

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let seconds = self.0.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let name = |names: &'static [&'static str], at: i64| {
            usize::try_from(at)
                .ok()
                .and_then(|at| names.get(at))
                .copied()
                .unwrap_or("?")
        };
        write!(
            f,
            "{} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
            name(&WEEKDAYS, days.rem_euclid(7)),
            name(&MONTHS, month - 1),
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Year, month and day of a number of days since 1970-01-01, by the Gregorian rule. The year is counted from March, so
/// that the day that comes and goes is its last.
fn civil(days: i64) -> (i64, i64, i64) {
    /// From the first of March of year 0.
    const EPOCH: i64 = 719_468;
    const ERA: i64 = 146_097;
    let days = days + EPOCH;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = (months_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_java() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (2.015, "2.015"),
            (66.0 / 13.0, "5.0769"),
            (0.000_04, "0.0"),
            (1234.5678, "1234.5678"),
        ] {
            assert_eq!(Decimal(number).to_string(), text);
        }
    }

    #[test]
    fn addresses_are_those_of_java() {
        for (address, text) in [
            ("127.0.0.1:50676", "/127.0.0.1:50676"),
            ("[::ffff:10.0.0.7]:1", "/10.0.0.7:1"),
            ("[::1]:2181", "/[0:0:0:0:0:0:0:1]:2181"),
            ("[2001:db8::a:b]:2181", "/[2001:db8:0:0:0:0:a:b]:2181"),
        ] {
            assert_eq!(Address(address.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn dates_are_those_of_java() {
        for (ms, text) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (1_795_448_886_999, "Mon Nov 23 15:48:06 UTC 2026"),
            (1_709_210_096_000, "Thu Feb 29 12:34:56 UTC 2024"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (946_684_799_000, "Fri Dec 31 23:59:59 UTC 1999"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        ] {
            assert_eq!(Date(WallMillis(ms)).to_string(), text);
        }
    }
}
