//! netsuite/mod
