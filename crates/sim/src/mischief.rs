//! mischief
