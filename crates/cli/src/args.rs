//! The command line as it is typed. What the words mean is the commands' business.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use event::{EffectId, MicroUsd};

use crate::words;

/// An agent that is yours: give it a task in one sentence, get finished files.
#[derive(Debug, Parser)]
#[command(name = "thenar", version, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Examples:
  thenar demo                                     see it work, with no key and no network
  thenar run \"Which month had most strikes?\" --input birds.csv
  thenar run --workspace . \"Rename the photos by date\"
  thenar task list
  thenar task resume --last                       go on after a crash, a stop, or tomorrow

Exit codes: 0 done, 1 failed, 2 usage, 3 stopped (can be resumed), 4 waits for you, 5 no model or a \
broken configuration, 6 held by another process, 7 a journal does not verify, 130 second Ctrl-C.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Give the agent a task and watch it work
    Run(Run),
    /// Watch a scripted run on real data: no key, no network
    Demo,
    /// Run tasks in a process that stays, with a page and an API
    Serve(Serve),
    /// Look at tasks and speak to them
    #[command(subcommand)]
    Task(Task),
    /// Keep secrets that tasks can use and never see
    #[command(subcommand)]
    Secret(Secret),
    /// Read, verify and export the record of a task
    #[command(subcommand)]
    Journal(Journal),
    /// Use the agent's computer yourself
    #[command(subcommand)]
    Computer(Computer),
    /// List the models that can be used, or test one
    Models {
        #[command(subcommand)]
        test: Option<Models>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy all tasks to a new folder, also while they are at work
    #[command(after_help = BACKUP)]
    Backup {
        /// The folder to make; it is a data folder like the one it is a copy of
        folder: PathBuf,
    },
    /// Check this machine and say how to mend what is missing
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take away what killed processes left behind: computers, sockets, control groups. Tasks and files stay
    Clean,
    /// Install the toolset: Python packages for data, charts and documents
    Setup,
}

const BACKUP: &str = "\
Each task stands still while it is copied; what runs in its computer runs on, and is told as unknown if the copy is \
resumed. A folder lent with --workspace is not copied: it is yours. Standard output has each record's length and head: \
keep them somewhere else, and nobody can change the copy unseen.

Examples:
  thenar backup /mnt/backup/thenar-monday
  THENAR_HOME=/mnt/backup/thenar-monday thenar task list    it is whole: look, or go on from it";

#[derive(Debug, Args)]
#[command(after_help = "\
The model is taken from --model, else THENAR_MODEL, else config.toml, else OPENAI_API_KEY / OPENAI_BASE_URL.

Examples:
  thenar run \"Summarise these three reports on one page\" --input a.pdf --input b.pdf --input c.pdf
  thenar run --allow-net '*.wikipedia.org' \"How old is the bridge in it?\" --input bridge.jpg
  thenar run --model openai:gpt-4.1 --max-cost 0.50 --max-time 20m \"Clean it\" --input list.xlsx
  thenar run --json --yes \"…\" > result.json      for scripts: one JSON object on standard output")]
pub(crate) struct Run {
    /// Work in this folder of yours instead of a workspace of the task's own
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Give a file with the task (again for more)
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,
    /// Where deliverables go [default: ./thenar-out/ID]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The model, as provider:model (openai:…, script:demo, script:FILE)
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Answer yes to what the policy lets be answered so
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Let the running server do it; Ctrl-C leaves it at work there
    #[arg(long)]
    pub(crate) on_server: bool,
    /// Print one JSON object at the end instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// The task's name, for whoever has to know it beforehand
    #[arg(long, value_name = "ID", hide = true)]
    pub(crate) id: Option<String>,
    /// What you want, in a sentence
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
It prints a link with an access token, which is kept in THENAR_HOME/access-token. Tasks that were under way when a \
server died go on by themselves. `thenar run --on-server` gives it a task from the command line.

Examples:
  thenar serve
  thenar serve --addr 127.0.0.1:8000 --tasks 20
  thenar serve --addr 0.0.0.0:7171 --host thenar.example      behind a proxy that speaks TLS")]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7171")]
    pub(crate) addr: std::net::SocketAddr,
    /// A name by which browsers may reach it, beside the address (again for more)
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Show it in your browser, at this task if one is named; without a desktop, print the link
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    pub(crate) open: Option<String>,
    /// At most so many tasks at work at once; more wait their turn
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) tasks: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// At most so many replies of the model
    #[arg(long, value_name = "N")]
    pub(crate) max_steps: Option<u64>,
    /// Spend at most so many US dollars
    #[arg(long, value_name = "USD", value_parser = words::money)]
    pub(crate) max_cost: Option<MicroUsd>,
    /// Work at most so long: 90s, 20m, 2h
    #[arg(long, value_name = "DUR", value_parser = words::duration_ms)]
    pub(crate) max_time: Option<u64>,
}

const HOSTS: &str = "\
What is taken away is cut, and a program that wants it again is refused or you are asked. A name without a port means \
every port of it, *.DOMAIN all below it, * everything.

Examples:
  thenar task hosts ID      one in each line; `asked` where you said yes to a question
  thenar task hosts ID --allow pypi.org,files.pythonhosted.org
  thenar task hosts ID --deny '*' --allow api.example.org:8443";

const FORK: &str = "\
The new task has the other one's history and, in a workspace of its own, its files as they were. The other one is \
not touched, and may be at work meanwhile.

Examples:
  thenar task fork ID --at 3 \"Use a bar chart instead\"
  thenar task fork ID --at 3              prints the new task's name";

const DIFF: &str = "\
Examples:
  thenar task diff ID                     what has changed since the newest checkpoint
  thenar task diff ID --to 5 --patch      what the turn of checkpoint 5 did, line by line
  thenar task diff ID --from 2 --to 7";

#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Let programs in its computer reach this host: example.org, example.org:8443, *.example.org (again for more; you are
    /// asked about others)
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub(crate) allow_net: Vec<String>,
    /// Let it use a secret, at the hosts that this is for (again for more; `thenar secret set` keeps one)
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Keep a value, read from the terminal or standard input, for the hosts it may go to
    #[command(after_help = SECRET)]
    Set {
        /// The variable that programs find a placeholder in
        name: String,
        /// Where it may go: example.org, example.org:8443, *.example.org (again for more)
        #[arg(long, required = true, value_name = "HOST[:PORT]", value_delimiter = ',')]
        host: Vec<String>,
    },
    /// The names of all, and where each may go
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a value
    Remove {
        /// Its name
        name: String,
    },
}

const SECRET: &str = "\
The value never enters a computer: a task that is given it (`thenar run --secret NAME`) has a placeholder in the variable, and \
the value is put into the headers of requests on their way to these hosts.

Examples:
  thenar secret set GITHUB_TOKEN --host api.github.com
  pass show openai | thenar secret set OPENAI_API_KEY --host api.openai.com
  thenar run --secret GITHUB_TOKEN \"List my open issues\"";

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// All tasks, newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One task: plan, files, cost, what it waits for
    Show {
        /// The task, or the beginning of its name
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The task's folder on this machine
    Path {
        /// The task, or the beginning of its name
        id: String,
    },
    /// Say something to a task; it is read before the next step
    Send {
        /// The task, or the beginning of its name
        id: String,
        /// What you want to say
        text: String,
    },
    /// Allow or refuse what a task asks you for
    Confirm {
        /// The task, or the beginning of its name
        id: String,
        /// Refuse instead of allowing
        #[arg(long)]
        deny: bool,
        /// Only if it is this effect that it asks about
        #[arg(long, value_name = "eN")]
        effect: Option<EffectId>,
        /// A word with your answer
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// What programs in a task's computer may reach; with --allow or --deny, changed at once, also while it works
    #[command(after_help = HOSTS)]
    Hosts {
        /// The task, or the beginning of its name
        id: String,
        /// From now on this may be reached: example.org, example.org:8443, *.example.org (again for more)
        #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
        allow: Vec<String>,
        /// From now on this may not: open connections to it are cut, also where you were asked and said yes (again for more)
        #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
        deny: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop a task, wherever it runs; it can be resumed
    Stop {
        /// The task, or the beginning of its name
        id: String,
    },
    /// The kept states of a task's workspace: one after each turn that changed it
    Checkpoints {
        /// The task, or the beginning of its name
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What differs between two checkpoints, or between one and what is there now
    #[command(after_help = DIFF)]
    Diff {
        /// The task, or the beginning of its name
        id: String,
        /// From this checkpoint; 0 is the empty workspace [default: the one before `--to`, or the newest]
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// To this checkpoint [default: what is there now]
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        /// Show the lines of text files that differ
        #[arg(long)]
        patch: bool,
        /// Print JSON
        #[arg(long, conflicts_with = "patch")]
        json: bool,
    },
    /// Set a task's workspace back to a checkpoint; nobody may be at work on it
    Restore {
        /// The task, or the beginning of its name
        id: String,
        /// The checkpoint
        #[arg(long, value_name = "N")]
        at: u64,
        /// Do not keep what is there now
        #[arg(long)]
        throw_away: bool,
    },
    /// Begin a new task as this one was at a checkpoint, and try it another way
    #[command(after_help = FORK)]
    Fork {
        /// The task, or the beginning of its name
        id: String,
        /// The checkpoint
        #[arg(long, value_name = "N")]
        at: u64,
        /// Where the new task's deliverables go [default: ./thenar-out/ID]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Print one JSON object at the end instead of text
        #[arg(long)]
        json: bool,
        /// What to do otherwise: the new task runs at once; without it, it waits for `task resume`
        text: Option<String>,
    },
    /// Write a checkpoint as an archive: FILE.tar or FILE.tar.zst
    ExportFiles {
        /// The task, or the beginning of its name
        id: String,
        /// The checkpoint
        #[arg(long, value_name = "N")]
        at: u64,
        /// The file to write
        file: PathBuf,
    },
    /// Go on with a task, with the options it was given
    Resume {
        /// The task, or the beginning of its name
        #[arg(required_unless_present = "last", conflicts_with = "last")]
        id: Option<String>,
        /// The newest task that can be resumed
        #[arg(long)]
        last: bool,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        reach: Reach,
        /// Print one JSON object at the end instead of text
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Journal {
    /// The events of a task
    Show {
        /// The task, or the beginning of its name
        id: String,
        /// Print one JSON object per event
        #[arg(long)]
        json: bool,
    },
    /// Check every record and blob; names the first bad one
    Verify {
        /// A task, or an exported bundle
        id_or_file: String,
    },
    /// Write the journal as one file that anybody can verify (docs/verify_journal.py needs no Thenar)
    Export {
        /// The task, or the beginning of its name
        id: String,
        /// The file to write
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Computer {
    /// Run one command in a fresh computer; its exit code is ours
    #[command(after_help = "\
Examples:
  thenar computer exec -- python3 -c 'import pandas; print(pandas.__version__)'
  thenar computer exec --workspace . -- ls -la

Exit codes: the command's own; 128 + N where signal N ended it; 125 where the computer could not be made.")]
    Exec {
        /// A folder of yours as /workspace
        #[arg(long, value_name = "DIR")]
        workspace: Option<PathBuf>,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
        command: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Try a model: does it answer, stream, call tools, keep to a schema, cache, tell its window?
    Test {
        /// The model, as provider:model [default: the one `run` would take]
        name: Option<String>,
        /// Print one JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}
