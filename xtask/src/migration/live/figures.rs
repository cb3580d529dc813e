//! What clients noticed of each step, as a table.

use std::time::{Duration, Instant};

/// One step: a server was stopped and started again, perhaps as another program.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// What was done.
    pub(super) what: String,
    /// Whether that server led.
    pub(super) led: bool,
    /// When it was told to stop.
    pub(super) begin: Instant,
    /// When clients had gone on for a while after it.
    pub(super) end: Instant,
    /// From the signal to the end of its process.
    pub(super) stopping: Duration,
    /// From its new start until all served and were synchronized.
    pub(super) coming_back: Duration,
}

/// What clients noticed of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Longest time in which no client at all was acknowledged a write.
    pub(super) gap: Duration,
    /// Longest time in which one client was not.
    pub(super) gap_of_one: Duration,
    /// Most connections that one client lost.
    pub(super) lost_by_one: usize,
    /// Connections that were lost by all together.
    pub(super) lost: usize,
}

impl Step {
    /// What writers with these times of acknowledged writes and clients with these of lost connections noticed.
    pub(super) fn noticed(&self, acknowledged: &[Vec<Instant>], lost: &[Vec<Instant>]) -> Noticed {
        let mut all: Vec<Instant> = acknowledged.iter().flatten().copied().collect();
        all.sort_unstable();
        let within = |times: &Vec<Instant>| {
            let count = times.iter().filter(|time| (self.begin..=self.end).contains(*time));
            count.count()
        };
        let by_client: Vec<usize> = lost.iter().map(within).collect();
        let gaps_of_one = acknowledged.iter().map(|times| self.longest_gap(times));
        Noticed {
            gap: self.longest_gap(&all),
            gap_of_one: gaps_of_one.max().unwrap_or_default(),
            lost_by_one: by_client.iter().copied().max().unwrap_or(0),
            lost: by_client.iter().sum(),
        }
    }

    /// The longest time without one of `times`, which are in order, that ends within the step.
    fn longest_gap(&self, times: &[Instant]) -> Duration {
        let pairs = times.iter().zip(times.iter().skip(1));
        let within = pairs.filter(|(_, next)| (self.begin..=self.end).contains(*next));
        within.map(|(one, next)| *next - *one).max().unwrap_or_default()
    }
}

/// The table, in Markdown.
pub(super) fn table(steps: &[(Step, Noticed)], clients: usize) -> String {
    let mut text = format!(
        "| Step | Its role | Stopped after ms | Back after ms | No write by anyone ms | No write by one client ms | \
         Reconnects of one client, of all {clients} |\n|---|---|---|---|---|---|---|\n"
    );
    for (step, noticed) in steps {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {}, {} |\n",
            step.what,
            if step.led { "leader" } else { "follower" },
            step.stopping.as_millis(),
            step.coming_back.as_millis(),
            noticed.gap.as_millis(),
            noticed.gap_of_one.as_millis(),
            noticed.lost_by_one,
            noticed.lost
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_those_that_end_within_the_step() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let step = Step {
            what: "x".to_owned(),
            led: true,
            begin: at(100),
            end: at(1000),
            stopping: Duration::ZERO,
            coming_back: Duration::ZERO,
        };
        let one: Vec<Instant> = [0, 90, 110, 400, 900, 3000].map(at).into();
        let other: Vec<Instant> = [100, 300, 700].map(at).into();
        let noticed = step.noticed(&[one, other], &[vec![at(50), at(200), at(300)], vec![at(500)]]);
        let expected = Noticed {
            gap: Duration::from_millis(300),
            gap_of_one: Duration::from_millis(500),
            lost_by_one: 2,
            lost: 3,
        };
        assert_eq!(noticed, expected);
        assert!(table(&[(step, noticed)], 2).contains("| x | leader | 0 | 0 | 300 | 500 | 2, 3 |"));
    }
}
