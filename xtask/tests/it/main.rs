//! The one integration binary of the automation: the repository itself under the tidy test.

mod tidy;
