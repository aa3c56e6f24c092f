//! The one integration binary of the automation: the repository under the tidy test, the programs under chaos.

mod rig;
mod tidy;
