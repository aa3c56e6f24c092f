//! `thenar serve`: tasks run in one process that stays, with doors for a browser and for programs. How tasks are run and
//! what the doors say is the server's business; here it is put together, and ended in good order.

use std::net::SocketAddr;
use std::sync::Arc;

use server::{App, Bell, BellError, HttpLimits, Index, Runner, RunnerLimits, Token};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Serve;
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen};
use crate::settings::Edge;
use crate::shelf::Shelf;
use crate::{browser, config, env, house};

/// `thenar serve`.
pub(crate) fn run(args: &Serve, screen: Screen) -> Outcome {
    let config = config::read()?;
    let instance = Arc::new(house::open(&config)?);
    let home = house::data_folder()?;
    let shown = args.open.as_deref().filter(|id| !id.is_empty()).map(|id| house::find(&instance, id)).transpose()?;
    let bell = Bell::hang(&home).map_err(|error| match &error {
        BellError::Taken(_) => {
            Problem::new(Code::Held, error.to_string()).hint("stop that one, or give this one a THENAR_HOME of its own")
        }
        BellError::Io { .. } => Problem::new(Code::Failed, error.to_string()),
    })?;
    let failed =
        |what: &'static str| move |error: std::io::Error| Problem::new(Code::Failed, format!("{what}: {error}"));
    // Every task and every listener takes some; what the system's owner set is the limit.
    let files = rustix::process::Resource::Nofile;
    let bounds = rustix::process::getrlimit(files);
    let _ = rustix::process::setrlimit(files, rustix::process::Rlimit { current: bounds.maximum, ..bounds });
    let token = Token::open(&home).map_err(failed("make the access token"))?;
    let models = Arc::new(Shelf::default());
    let limits = RunnerLimits { running_max: args.tasks, ..RunnerLimits::default() };
    let runner = Runner::start(Arc::clone(&instance), models.clone(), limits).map_err(failed("start the runner"))?;
    let index = Index::new(Arc::clone(&instance), runner.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(failed("start the runtime"))?;
    let outcome = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.addr).await.map_err(|error| {
            Problem::new(Code::Setup, format!("listen on {}: {error}", args.addr)).hint("choose another with --addr")
        })?;
        let addr = listener.local_addr().map_err(failed("listen"))?;
        let ended = ended(screen);
        // Only now: whoever is refused above must not have begun anything.
        let _answering = bell.answer(runner.clone()).map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
        let (taking, tasks, house) = (runner.clone(), index.clone(), Arc::clone(&instance));
        let taken = tokio::task::spawn_blocking(move || {
            house.clear_left(env::now_ms());
            taking.take_up(&tasks, env::now_ms())
        });
        let taken = taken.await.unwrap_or(0);
        welcome(screen, addr, &token, taken);
        if args.open.is_some() {
            let page = shown.map_or_else(|| "/".to_owned(), |id| format!("/tasks/{id}"));
            browser::show(screen, &home, &format!("http://{addr}{page}?token={}", token.reveal()));
        }
        let sweeping = runner.clone();
        let sweep = {
            let index = index.clone();
            async move { sweeping.sweep(index, env::now_ms).await }
        };
        let sweeping = tokio::spawn(sweep);
        let hosts = args.host.clone();
        let clock = env::now_ms;
        let (limits, house) = (HttpLimits::default(), Arc::new(Edge::default()));
        let app = App { instance, runner: runner.clone(), index, models, house, token, hosts, limits, clock };
        let served = server::serve(listener, app, ended).await.map_err(failed("answer requests"));
        screen.say("Stopping: tasks are put down, their computers run on.");
        runner.stop("the server was stopped").await;
        sweeping.abort();
        served
    });
    runtime.shutdown_background();
    outcome.map(|()| Code::Done)
}

fn welcome(screen: Screen, addr: SocketAddr, token: &Token, taken: usize) {
    screen.say(&format!("{} serves at http://{addr}", screen.paint(Look::Bold, "Thenar")));
    screen.say(&format!("  open     http://{addr}/?token={}", token.reveal()));
    if !addr.ip().is_loopback() {
        let text = "this address can be reached from other machines, and the connection is not encrypted: put a proxy with TLS before it";
        screen.say(&format!("{} {text}", screen.paint(Look::Warn, "warning:")));
    }
    match taken {
        0 => {}
        1 => screen.say("One task was under way and goes on."),
        many => screen.say(&format!("{many} tasks were under way and go on.")),
    }
    screen.say("Ctrl-C stops the server; tasks go on at the next start.");
}

/// Ends with the first signal to stop; the second one ends the program at once. Signals are heard from the call on.
fn ended(screen: Screen) -> impl Future<Output = ()> {
    let (first, mut seen) = tokio::sync::mpsc::channel(4);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let Ok(mut signals) = signal(kind) else { continue };
        let first = first.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = first.send(()).await;
            }
        });
    }
    async move {
        let _ = seen.recv().await;
        tokio::spawn(async move {
            if seen.recv().await.is_some() {
                screen.say("Ended at once. Nothing that was recorded is lost.");
                std::process::exit(Code::Interrupted as i32);
            }
        });
    }
}
