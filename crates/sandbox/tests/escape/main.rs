//! Attacks on the box from inside.
