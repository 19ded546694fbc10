//! A plain client.
