//! What somebody may have meant who wrote a name that does not exist.

/// Longer names are not compared: no key has more than 60 characters, and the work grows with the square.
const NAME_CHARS_MAX: usize = 80;

/// The candidate that takes the fewest changes (a letter more, less, other, or two swapped) to become `name`, in any
/// case, if that is few enough to be a slip: two fifths of the length. The first of several equals.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).map(lower).collect();
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    let far = (name.len() * 2 / 5).clamp(1, 8);
    candidates
        .into_iter()
        // Each letter more or less is a change: most names need no closer look.
        .filter(|candidate| candidate.chars().count().abs_diff(name.len()) <= far)
        .map(|candidate| {
            (
                distance(&name, &candidate.chars().map(lower).collect::<Vec<_>>()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn lower(c: char) -> char {
    c.to_ascii_lowercase()
}

/// Changes between two names (optimal string alignment), by rows of the usual table.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && *y == a[i - 1] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        let keys = [
            "clientPort",
            "dataDir",
            "dataLogDir",
            "tickTime",
            "maxClientCnxns",
            "kinit",
        ];
        assert_eq!(nearest(name, keys), expected, "{name}");
    }

    #[test]
    fn a_slip_finds_its_key() {
        check("clientport", Some("clientPort"));
        check("cleintPort", Some("clientPort"));
        check("datadir", Some("dataDir"));
        check("tickTme", Some("tickTime"));
        check("maxClientConnections", Some("maxClientCnxns"));
    }

    #[test]
    fn a_strange_name_finds_none() {
        check("x", None);
        check("", None);
        check("metricsProvider.port", None);
        check(&"clientPort".repeat(20), None);
    }

    #[test]
    fn distance_counts_changes() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(&chars(a), &chars(b)), expected, "{a} {b}");
        }
    }
}
