//! centra/mod
