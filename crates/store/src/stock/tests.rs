//! The laws of stock in the store.
