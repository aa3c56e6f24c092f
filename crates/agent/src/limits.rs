//! The agent's limits, each with its unit in its name. What they bound is said where they are used.

/// A resume that dies within this time and brings nothing counts as fruitless.
pub(crate) const RESUME_FRUITLESS_MS: u64 = 60_000;

/// This many fruitless resumes in a row make the task `failed`.
pub(crate) const RESUMES_FRUITLESS_MAX: u32 = 3;

/// Tries of one model call before it is given up: about ten minutes, in which a server comes up again or loads its model.
pub(crate) const MODEL_ATTEMPTS_MAX: u32 = 20;

/// Tries of one model call that its server may charge for before it is given up.
pub(crate) const MODEL_ATTEMPTS_CHARGED_MAX: u32 = 5;

/// The same where the latest ended in silence: each costs the whole time-out.
pub(crate) const MODEL_SILENCES_MAX: u32 = 3;

/// This many replies in a row that broke off before they asked for anything end the task.
pub(crate) const REPLIES_CUT_MAX: u32 = 3;

/// Tool calls taken from one reply; the rest are answered with a refusal.
pub(crate) const TOOL_CALLS_PER_REPLY_MAX: usize = 32;

/// Steps without `--max-steps`.
pub const STEPS_DEFAULT_MAX: u64 = 2_000;

/// Bytes of one message from the person.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the task's sentence.
pub const BRIEF_BYTES_MAX: usize = 256 * 1024;

/// Files given with one task.
pub const INPUT_FILES_MAX: usize = 1_000;

/// How often the holder of a task gives a sign of life.
pub(crate) const HEARTBEAT_MS: u64 = 5_000;

/// Commands waiting for the loop before a sender is told to try again.
pub(crate) const COMMANDS_QUEUED_MAX: usize = 64;

/// How long a stop waits for the running effect before the computer is ended under it.
pub(crate) const STOP_GRACE_MS: u64 = 3_000;

/// How long a task may be held still for a copy of it.
pub(crate) const HOLD_MS_MAX: u64 = 15 * 60 * 1_000;

/// How long a task waits for the person before its computer is put to sleep.
pub(crate) const COMPUTER_SLEEPS_AFTER_MS: u64 = 30 * 60 * 1_000;

/// How often a task that is held still looks whether somebody wants something of it.
pub(crate) const HOLD_LOOK_MS: u64 = 50;

/// How often a copy of a task is begun anew because it did not stay still.
pub(crate) const COPIES_MAX: u32 = 3;

/// How long a person's yes holds while the effect has not begun.
pub(crate) const APPROVAL_VALID_MS: u64 = 24 * 60 * 60 * 1_000;

/// Checkpoints of one task; of more, older ones are let go.
pub(crate) const CHECKPOINTS_MAX: usize = 64;

/// The newest of them, which stay together.
pub(crate) const CHECKPOINTS_RECENT: usize = 16;

/// Bytes of a task's store of checkpoints while it is at work, and after its end.
pub(crate) const CHECKPOINTS_BYTES_MAX: u64 = 4 << 30;
pub(crate) const CHECKPOINTS_BYTES_AT_END_MAX: u64 = 1 << 30;

/// The largest workspace of a task's own that is kept: files, folders and links, and bytes of data.
pub(crate) const KEPT_ENTRIES_MAX: u64 = 200_000;
pub(crate) const KEPT_BYTES_MAX: u64 = 2 << 30;

/// The largest folder of the person's that is kept: it is theirs, may hold anything, and is copied whole the first time.
pub(crate) const KEPT_LENT_ENTRIES_MAX: u64 = 20_000;
pub(crate) const KEPT_LENT_BYTES_MAX: u64 = 256 << 20;

/// Turns after which a workspace that was too large is looked at again.
pub(crate) const KEPT_AGAIN_TURNS: u64 = 10;

/// How long the end of a task waits for its last checkpoint.
pub(crate) const KEEP_WAIT_MS: u64 = 30_000;

/// Places that one task may ask for.
pub(crate) const PLACES_MAX: usize = 256;

/// Places that the person is asked about at one time.
pub(crate) const QUESTIONS_MAX: usize = 5;

/// How long a connection waits for the person's word.
pub(crate) const REACH_WAIT_MS: u64 = 10 * 60 * 1_000;

/// How often it is looked whether a program still waits for one.
pub(crate) const GONE_LOOK_MS: u64 = 250;

/// What the threads of the proxy may have said and the loop not heard.
pub(crate) const NETWORK_QUEUED_MAX: usize = 256;

/// Connections to one place that stand on the record one by one, each time the task is taken up; the others are counted.
pub(crate) const CONNECTIONS_NAMED_MAX: u64 = 200;

/// Refusals of one place that do.
pub(crate) const REFUSALS_NAMED_MAX: u64 = 20;

/// What may pass to and from one place.
pub(crate) const GRANT: sandbox::egress::Ceilings = sandbox::egress::Ceilings {
    bytes_up: 256 * 1024 * 1024,
    bytes_down: 16 * 1024 * 1024 * 1024,
    connections: 32,
    holds: std::time::Duration::from_secs(24 * 60 * 60),
};

/// What a task may send to all places together.
pub(crate) const TASK_BYTES_UP_MAX: u64 = 1024 * 1024 * 1024;

/// How long the ends of a task's last connections are waited for, and for how long nothing may come.
pub(crate) const NETWORK_REST_MS: u64 = 1_000;
pub(crate) const NETWORK_REST_TURN_MS: u64 = 20;
