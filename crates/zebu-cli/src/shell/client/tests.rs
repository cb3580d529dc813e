//! Tests against servers that do what they should not.
