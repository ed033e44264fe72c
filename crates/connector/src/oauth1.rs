//! oauth1
