//! Tax policies.
