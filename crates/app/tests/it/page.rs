//! The page in a real browser: what a person sees without and with scripts.
