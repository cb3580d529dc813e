//! Seeded hashing. The seed comes from outside, so the crate stays deterministic.

use foldhash::quality::FixedState;
use hashbrown::HashMap;

/// A map whose order nobody may depend on.
pub(crate) type SeededMap<K, V> = HashMap<K, V, FixedState>;
