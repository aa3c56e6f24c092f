//! Which arguments are the person's own.
