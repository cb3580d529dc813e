//! Holding back new connections: a bucket of tokens, and on top of it a drop by chance.
//!
//! Each handshake takes tokens from the bucket, which is filled as time goes by; without enough tokens the connection is
//! closed. When the bucket is found empty again and again, the chance grows that a handshake is refused although there
//! are tokens, so that those who come back at once do not take them all.
//!
//! Source: `org.apache.zookeeper.server.BlueThrottle`.

use parking_lot::Mutex;
use zebu_proto::Millis;

use crate::config::ConnectionThrottle as Config;
use crate::random::Random;

/// The throttle of a server; it lets everything in unless it is configured.
pub(crate) struct ConnectionThrottle(Option<Mutex<Bucket>>);

struct Bucket {
    config: Config,
    tokens_max: u64,
    fill_count: u64,
    tokens: u64,
    filled_at: Millis,
    judged_at: Millis,
    /// The chance that a handshake is refused, 0 to 1.
    drop: f64,
    random: Random,
}

/// What a handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A new session.
    New,
    /// A new session that only this server will know.
    NewLocal,
    /// A session that the client had before.
    Renewal,
}

impl ConnectionThrottle {
    pub(crate) fn new(config: &Config, seed: u64) -> Self {
        let bucket = config.tokens.map(|tokens| {
            // With weights a bucket of so many tokens is meant to serve as many new sessions as without.
            let factor = if config.weight_enabled {
                u64::from(config.global_session_weight)
            } else {
                1
            };
            let tokens_max = u64::from(tokens.get()) * factor;
            Mutex::new(Bucket {
                config: config.clone(),
                tokens_max,
                fill_count: u64::from(config.fill_count) * factor,
                tokens: tokens_max,
                filled_at: Millis(0),
                judged_at: Millis(0),
                drop: 0.0,
                random: Random::new(seed),
            })
        });
        Self(bucket)
    }

    /// Whether a handshake is let in. If so, returned is how many tokens are missing in the bucket now.
    pub(crate) fn admit(&self, wanted: Wanted, now: Millis) -> Option<u64> {
        match &self.0 {
            Some(bucket) => bucket.lock().admit(wanted, now),
            None => Some(0),
        }
    }

    /// The chance that a handshake is refused, 0 to 1.
    pub(crate) fn drop_probability(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |bucket| bucket.lock().drop)
    }
}

impl Bucket {
    fn admit(&mut self, wanted: Wanted, now: Millis) -> Option<u64> {
        let needed = match wanted {
            _ if !self.config.weight_enabled => 1,
            Wanted::New => u64::from(self.config.global_session_weight),
            Wanted::NewLocal => u64::from(self.config.local_session_weight),
            Wanted::Renewal => u64::from(self.config.renew_session_weight),
        };
        self.fill(now);
        if !self.is_lucky(now) {
            return None;
        }
        self.tokens = self.tokens.checked_sub(needed)?;
        Some(self.tokens_max - self.tokens)
    }

    fn fill(&mut self, now: Millis) {
        let fill_time_ms = u64::from(self.config.fill_time_ms).max(1);
        let elapsed_ms = now.since(self.filled_at);
        if elapsed_ms > fill_time_ms {
            let more = elapsed_ms.saturating_mul(self.fill_count) / fill_time_ms;
            self.tokens = self.tokens.saturating_add(more).min(self.tokens_max);
            self.filled_at = now;
        }
    }

    fn is_lucky(&mut self, now: Millis) -> bool {
        let Some(freeze_time_ms) = self.config.freeze_time_ms else {
            return true;
        };
        if now.since(self.judged_at) > u64::from(freeze_time_ms) {
            self.judged_at = now;
            let missing = self.tokens_max - self.tokens;
            #[allow(clippy::cast_precision_loss, reason = "a share of a small number")]
            let is_nearly_full = missing as f64 <= (self.tokens_max as f64 * self.config.decrease_ratio).round();
            if missing == self.tokens_max {
                self.drop = (self.drop + self.config.drop_increase).min(1.0);
            } else if is_nearly_full {
                self.drop = (self.drop - self.config.drop_decrease).max(0.0);
            }
        }
        self.random.share() >= self.drop
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn tokens(count: u32) -> Config {
        Config {
            tokens: NonZeroU32::new(count),
            ..Config::default()
        }
    }

    #[test]
    fn without_tokens_in_the_configuration_everybody_is_let_in() {
        let throttle = ConnectionThrottle::new(&Config::default(), 1);
        for _ in 0..1000 {
            assert_eq!(throttle.admit(Wanted::New, Millis(0)), Some(0));
        }
    }

    #[test]
    fn tokens_run_out_and_come_back() {
        let throttle = ConnectionThrottle::new(
            &Config {
                fill_time_ms: 100,
                fill_count: 2,
                ..tokens(3)
            },
            1,
        );
        let admit = |at| throttle.admit(Wanted::New, Millis(at));
        assert_eq!([admit(0), admit(0), admit(0)], [Some(1), Some(2), Some(3)]);
        assert_eq!([admit(0), admit(100)], [None, None], "the time to fill must be over");
        assert_eq!([admit(101), admit(101), admit(101)], [Some(2), Some(3), None]);
        assert_eq!([admit(152), admit(202)], [None, Some(2)]);
        assert_eq!(admit(100_000), Some(1), "no more than fit in");
    }

    #[test]
    fn weights_count_for_the_kinds_of_session() {
        let throttle = ConnectionThrottle::new(
            &Config {
                weight_enabled: true,
                fill_time_ms: 1000,
                ..tokens(2)
            },
            1,
        );
        assert_eq!(throttle.admit(Wanted::Renewal, Millis(0)), Some(2));
        assert_eq!(throttle.admit(Wanted::New, Millis(0)), Some(5));
        assert_eq!(throttle.admit(Wanted::Renewal, Millis(0)), None, "one is left");
        assert_eq!(
            throttle.admit(Wanted::NewLocal, Millis(0)),
            Some(6),
            "for which that is enough"
        );
    }

    #[test]
    fn an_empty_bucket_makes_refusals_likelier_and_a_full_one_less_likely() {
        let throttle = ConnectionThrottle::new(
            &Config {
                freeze_time_ms: Some(10),
                fill_time_ms: 1000,
                fill_count: 5,
                drop_increase: 0.5,
                drop_decrease: 0.25,
                ..tokens(1)
            },
            1,
        );
        let admit = |at| throttle.admit(Wanted::New, Millis(at)).is_some();
        let is = |chance: f64| (throttle.drop_probability() - chance).abs() < 1e-9;
        assert!(admit(0));
        assert!(!admit(11));
        assert!(is(0.5));
        assert!(!admit(15));
        assert!(is(0.5), "it is judged no sooner than the configuration says");
        assert!(!admit(22));
        assert!(is(1.0));
        // There is a token again, and the chance to get it is one in four.
        admit(1001);
        assert!(is(0.75));
        for at in [2002, 3003, 4004, 5005] {
            admit(at);
        }
        assert!(is(0.0));
        assert!(admit(6006));
    }
}
