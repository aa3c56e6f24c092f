//! What the doctor saw, by a code: the same that a finding says in English, for whoever says it in another language.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was seen of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Seen {
    DataFolder {
        folder: String,
        room: String,
    },
    DataFolderFiles {
        folder: String,
        room: String,
        files: u64,
    },
    DataFolderFailed {
        folder: String,
        error: String,
    },
    FileSystem {
        kind: String,
    },
    FileSystemUnknown,
    /// Of another machine: locks do not hold there for certain.
    FileSystemRemote {
        kind: String,
    },
    /// Gone when the machine stops.
    FileSystemMemory {
        kind: String,
    },
    /// Mounted so that it keeps nothing for certain.
    FileSystemCareless {
        kind: String,
        option: String,
    },
    Synced {
        ms: String,
    },
    SyncFaked,
    SyncFailed {
        error: String,
    },
    Recorded,
    RecordFailed {
        error: String,
    },
    ComputerRan,
    ComputerNotWell,
    ComputerFailed {
        error: String,
    },
    /// A lock of the box holds.
    Locked {
        lock: Lock,
    },
    Unlocked {
        lock: Lock,
        seen: String,
    },
    /// Who sees to the limits.
    Limits {
        memory: HeldBy,
        processes: HeldBy,
        processor: HeldBy,
        memory_unmet: bool,
        processes_unmet: bool,
        undivided: bool,
        no_groups: NoGroups,
        /// In the kernel's words, where it is for another reason.
        reason: String,
    },
    WayOutWorks,
    WayOutNone {
        driver: String,
    },
    WayOutWrong {
        error: String,
    },
    LandlockWhole {
        abi: u32,
    },
    LandlockPartial {
        abi: u32,
    },
    LandlockOff,
    LandlockNone,
    LandlockWrong {
        abi: u32,
        error: String,
    },
    SecondWorks,
    SecondNotWell,
    SecondFailed {
        error: String,
    },
    /// There is no computer to try it in.
    NotTried,
    ToolsetNone,
    ToolsetThere {
        folder: String,
    },
    ToolsetFailed {
        error: String,
    },
    /// The driver makes no box for one.
    BrowserNoBox {
        driver: String,
    },
    BrowserNone,
    BrowserThere {
        name: String,
    },
    BrowserFailed {
        program: String,
        error: String,
    },
    NothingLeft,
    /// By processes that were killed, so many of each.
    Left {
        computers: u64,
        commands: u64,
        sockets: u64,
        half_done: u64,
        groups: u64,
        checkpoints: u64,
    },
    OpenFiles {
        files: u64,
    },
    OpenFilesFew {
        files: u64,
        error: String,
        tasks: u64,
    },
    Processes {
        processes: u64,
        pid_max: String,
    },
    ProcessesFew {
        processes: u64,
        error: String,
        tasks: u64,
    },
    ConfigurationFailed {
        error: String,
    },
    ModelNone,
    ModelFailed {
        model: String,
        error: String,
    },
    ModelScript {
        model: String,
    },
    ModelSilent {
        model: String,
        seconds: u64,
    },
    ModelThere {
        model: String,
        command: String,
    },
    ModelNotListed {
        model: String,
        listed: u64,
    },
    LocalModelsNone,
    LocalModels {
        servers: String,
    },
    Date {
        date: String,
    },
    DateImpossible {
        date: String,
    },
    DateSetBack {
        date: String,
        newest: String,
    },
    ClockSteady,
    ClockBack {
        ms: u64,
    },
    ClockAhead {
        ms: u64,
    },
    ClockKept,
    ClockNotKept,
    ClockUnknown,
}

/// The locks of a computer's box that are looked at from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    User,
    Namespaces,
    Rights,
    Seccomp,
    Network,
    System,
    Workspace,
}

/// Why the kernel does not see to all limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoGroups {
    /// It does.
    There,
    /// This account may not make control groups.
    Refused,
    /// They can be read here and not be made.
    ReadOnly,
    Other,
}

/// Who sees to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// Control groups of the unified kind.
    GroupV2,
    /// Control groups of the earlier kind.
    GroupV1,
    /// The keeper, and limits per process.
    Own,
}
