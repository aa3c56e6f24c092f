//! Why something was refused that a person asked for, by a code: the same that an error says in English, for whoever says it
//! in another language. What only a program can do wrong has none.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why it was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Because {
    /// It is not written as a host, or names none.
    HostWrong {
        host: String,
    },
    HostsTooMany {
        max: u64,
    },
    /// Another entry of the list lets it through.
    HostStillReached {
        host: String,
        wider: String,
    },
    HostNotNamed {
        host: String,
    },
    SecretUnknown {
        name: String,
    },
    SecretName {
        name: String,
    },
    SecretNoHosts,
    SecretEveryHost,
    SecretValue,
    SecretsTooMany {
        max: u64,
    },
    TaskEmpty,
    TaskTooLong,
    MessageEmpty,
    MessageTooLong,
    NoteTooLong,
    NothingAwaited,
    OtherAwaited,
    /// Others hold by now than the sender had read.
    OptionsChanged,
    AlreadyEnded,
    /// Another part of the computer is in their hands.
    HandsFull,
    NothingTakenOver,
    OtherWindow,
    BrowserIsAgents,
    TerminalIsAgents,
    /// It has not finished there.
    AgentInBrowser,
    NoComputer,
    NothingDelivered,
    ArchiveTooLarge,
    PageTooLarge,
    FilesTooMany {
        max: u64,
    },
    FilesTooLarge,
    FilesSameName {
        name: String,
    },
    FileName {
        name: String,
    },
    TrialUnderWay,
    LinksTooMany,
    BudgetSteps,
    BudgetCost,
    BudgetTime,
    ModelForm,
    ModelAddress,
    ModelKey,
    ModelPrices,
    ModelSizes,
}
