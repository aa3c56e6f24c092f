//! Serves the listeners of a computer: one thread that accepts and answers questions for names, and one for each connection. It
//! ends with its handle, and every connection with it.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::dns::QUESTION_BYTES_MAX;
use super::front::{self, Door, World};
use super::{EgressGate, Lease};

/// Connections of one computer at one time.
const CONNECTIONS_MAX: usize = 128;
/// Stack of a connection's thread; looking a name up takes some of it.
const STACK_BYTES: usize = 256 * 1024;
/// Questions and connections taken from one listener before the others get their turn.
const TURN_MAX: usize = 32;
/// How often it is looked for room where there is none.
const ROOM_LOOK_NS: i64 = 20_000_000;
/// How long a listener is left alone that cannot be accepted from: out of descriptors, mostly.
const TROUBLE_WAIT: Duration = Duration::from_millis(100);

/// A computer's way out, for as long as this lives.
#[derive(Debug)]
pub struct Egress {
    live: Arc<Live>,
    world: Arc<World>,
    /// Its end is the end of the thread that accepts.
    running: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    /// Its end tells the keeper that nobody serves the listeners.
    _line: UnixStream,
}

/// The connections that are open now.
#[derive(Debug, Default)]
struct Live {
    streams: Mutex<BTreeMap<u64, Arc<TcpStream>>>,
}

impl Egress {
    /// Begins to serve.
    pub(crate) fn serve(lease: Lease, gate: Arc<dyn EgressGate>) -> io::Result<Self> {
        let [proxy, http, tls, socks, names] = lease.listeners.all;
        let doors = [(Door::Proxy, proxy), (Door::Http, http), (Door::Tls, tls), (Door::Socks, socks)];
        let doors = doors.map(|(door, fd)| (door, TcpListener::from(fd)));
        let names = UdpSocket::from(names);
        for (_, listener) in &doors {
            listener.set_nonblocking(true)?;
        }
        names.set_nonblocking(true)?;
        let (ended, running) = io::pipe()?;
        let live = Arc::new(Live::default());
        let world = Arc::new(World { gate, names: Mutex::default(), over: AtomicBool::new(false) });
        let acceptor = Acceptor { doors, names, ended, live: Arc::clone(&live), world: Arc::clone(&world), next: 0 };
        let named = std::thread::Builder::new().name("egress".into()).stack_size(STACK_BYTES);
        let thread = named.spawn(move || acceptor.run())?;
        Ok(Self { live, world, running: Some(running), thread: Some(thread), _line: lease.line })
    }

    /// Ends every connection. Their last words reach the gate a moment later; new ones wait for whoever serves next.
    pub fn end(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.world.over.store(true, Ordering::SeqCst);
        for stream in self.live.streams().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections that have not ended yet.
    pub fn open(&self) -> usize {
        self.live.streams().len()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.end();
    }
}

impl Live {
    fn streams(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<TcpStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Acceptor {
    doors: [(Door, TcpListener); 4],
    names: UdpSocket,
    ended: PipeReader,
    live: Arc<Live>,
    world: Arc<World>,
    next: u64,
}

impl Acceptor {
    fn run(mut self) {
        loop {
            let room = self.live.streams().len() < CONNECTIONS_MAX;
            // Whoever finds no room waits in the listener.
            let wanted = if room { PollFlags::IN } else { PollFlags::empty() };
            let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN), PollFd::new(&self.names, PollFlags::IN)];
            fds.extend(self.doors.iter().map(|(_, listener)| PollFd::new(listener, wanted)));
            // A line that ends says so to nobody here: with no room it is looked for.
            let soon = Timespec { tv_sec: 0, tv_nsec: ROOM_LOOK_NS };
            match rustix::event::poll(&mut fds, (!room).then_some(&soon)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready[0] {
                return;
            }
            if ready[1] {
                self.answer_names();
            }
            for at in (0..self.doors.len()).filter(|at| ready[at + 2]) {
                self.accept(at);
            }
        }
    }

    fn accept(&mut self, at: usize) {
        for _ in 0..TURN_MAX {
            if self.live.streams().len() >= CONNECTIONS_MAX {
                return;
            }
            let (door, listener) = &self.doors[at];
            let door = *door;
            match listener.accept() {
                Ok((stream, _)) => self.begin(door, stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    std::thread::park_timeout(TROUBLE_WAIT);
                    return;
                }
            }
        }
    }

    fn begin(&mut self, door: Door, stream: TcpStream) {
        let stream = Arc::new(stream);
        self.next += 1;
        let number = self.next;
        self.live.streams().insert(number, Arc::clone(&stream));
        let (live, world) = (Arc::clone(&self.live), Arc::clone(&self.world));
        let serve = move || {
            if !world.over.load(Ordering::SeqCst) {
                front::serve(&world, door, &stream);
            }
            live.streams().remove(&number);
        };
        let named = std::thread::Builder::new().name("egress-line".into()).stack_size(STACK_BYTES);
        if named.spawn(serve).is_err() {
            self.live.streams().remove(&number);
        }
    }

    fn answer_names(&self) {
        let mut question = [0; QUESTION_BYTES_MAX];
        for _ in 0..TURN_MAX {
            let Ok((bytes, from)) = self.names.recv_from(&mut question) else { return };
            let answer = self.world.names.lock().unwrap_or_else(PoisonError::into_inner).answer(&question[..bytes]);
            if let Some(answer) = answer {
                // Whoever does not take it asks again.
                let _ = self.names.send_to(&answer, from);
            }
        }
    }
}
