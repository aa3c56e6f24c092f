//! The one integration binary of the automation: the rig, the repository under the tidy test, the programs under chaos.

mod chaos;
mod prompt;
mod rig;
mod tidy;
