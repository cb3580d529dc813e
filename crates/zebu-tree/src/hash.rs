//! Seeded hashing. The seed comes from outside, so the crate stays deterministic.

use core::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use hashbrown::HashMap;

/// A map whose order nobody may depend on.
pub(crate) type SeededMap<K, V> = HashMap<K, V, FixedState>;

/// Hash of a child's place: the parent's slot and the child's name.
pub(crate) fn child(state: &FixedState, parent: u32, name: &str) -> u64 {
    let mut hasher = state.build_hasher();
    parent.hash(&mut hasher);
    hasher.write(name.as_bytes());
    hasher.finish()
}
