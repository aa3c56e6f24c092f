//! The plan a person sees, the acceptance list, and the files handed over.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Digest;

/// The model's checklist, replaced whole by each `plan_update`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    pub steps: Vec<PlanStep>,
}

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanStep {
    pub text: String,
    pub status: StepStatus,
}

/// How far a plan's step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Pending,
    InProgress,
    Done,
    Skipped,
}

/// One thing the brief asks for, and whether the work has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptanceItem {
    pub text: String,
    pub status: AcceptanceStatus,
    /// How it was checked, or what is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How the hand-over checks it by itself; without one, what the model says stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<AcceptanceCheck>,
}

/// A check that a hand-over makes of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcceptanceCheck {
    pub kind: CheckKind,
    /// The file it is made of, relative to the workspace; none means every file of the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many there must be, where something is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// The words that must be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The files in which its numbers must stand, relative to the workspace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    Exists,
    Opens,
    Rows,
    Pages,
    Slides,
    Sheets,
    Words,
    Contains,
    Links,
    NoPlaceholders,
    Numbers,
}

/// The state of an acceptance item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AcceptanceStatus {
    Passed,
    Failed,
    Unchecked,
    /// Failed, and the person said to hand over all the same.
    Waived,
}

/// A file handed to the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deliverable {
    /// The file's name, relative to the output folder.
    pub name: String,
    /// Where it stands on the person's machine.
    pub path: String,
    pub bytes: u64,
    pub digest: Digest,
    /// What the parser of its type found, for a person to read: `PDF, 4 pages`.
    pub finding: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}
