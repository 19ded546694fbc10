//! A proxy that breaks connections on purpose: what a client sent may have been done though its
//! answer never comes.
//!
//! ```text
//!  client ─▶ proxy ─▶ server      requests are passed on whole, or kept
//!         ◀─       ◀─            answers: passed on, or cut off behind so many bytes
//! ```

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    /// Every so many answers the connection is cut before the answer is passed on; 0 for never.
    cut_every: AtomicU64,
    answers: AtomicU64,
    cuts: AtomicU64,
    held: Mutex<Held>,
    ended: AtomicBool,
}

/// Clients whose requests are kept.
#[derive(Default)]
struct Held {
    wanted: bool,
    /// Those that still wait for an answer.
    waiting: u64,
    /// Those that ever did.
    clients: u64,
}

/// What becomes of what was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    PassedOn,
    Kept,
    Cut,
}

/// A proxy, until it is dropped.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts one that refuses everybody until it has a target.
    ///
    /// # Panics
    /// When there is no port to be had.
    #[must_use]
    pub fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            cut_every: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            held: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // ORDER: Relaxed, a flag that stands for itself.
                if ours.ended.load(Ordering::Relaxed) {
                    return;
                }
                let target = *ours.target.lock().expect("nobody panics with it");
                let server = target.and_then(|target| TcpStream::connect(target).ok());
                if let Some(server) = server {
                    join(client, server, &ours);
                }
            }
        });
        Proxy { address, shared }
    }

    /// Where connections go from now on.
    ///
    /// # Panics
    /// Never: nobody panics while the target is looked at.
    pub fn send_to(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().expect("nobody panics with it") = target;
    }

    /// Cuts a connection at every so many answers from now on, with the answer unsaid; 0 for never.
    pub fn cut_every(&self, answers: u64) {
        // ORDER: Relaxed, numbers that stand for themselves.
        self.shared.answers.store(0, Ordering::Relaxed);
        self.shared.cut_every.store(answers, Ordering::Relaxed);
    }

    /// From now on requests are kept: who sends one waits until it gives up.
    ///
    /// # Panics
    /// Never: nobody panics while this is looked at.
    pub fn hold(&self) {
        self.shared.held.lock().expect("nobody panics with it").wanted = true;
    }

    /// Which client waits for an answer now, counted from 1; nothing, if none does.
    ///
    /// # Panics
    /// As [`Proxy::hold`].
    #[must_use]
    pub fn waiting(&self) -> Option<u64> {
        let held = self.shared.held.lock().expect("nobody panics with it");
        (held.waiting > 0).then_some(held.clients)
    }

    /// How many connections were cut.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        // ORDER: Relaxed, a number that stands for itself.
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // ORDER: Relaxed, a flag that stands for itself; the connection below lets it be seen.
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    // What comes in small parts goes on at once.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let ours = Arc::clone(shared);
    thread::spawn(move || {
        let mut waits = false;
        pass(from_client, server, || ours.request(&mut waits));
        ours.held.lock().expect("nobody panics with it").waiting -= u64::from(waits);
    });
    let ours = Arc::clone(shared);
    let answer = move || if ours.cuts_now() { Fate::Cut } else { Fate::PassedOn };
    thread::spawn(move || pass(from_server, client, answer));
}

impl Shared {
    /// What becomes of a request of a client that waits, or from now on does.
    fn request(&self, waits: &mut bool) -> Fate {
        let mut held = self.held.lock().expect("nobody panics with it");
        if !held.wanted {
            return Fate::PassedOn;
        }
        if !std::mem::replace(waits, true) {
            held.waiting += 1;
            held.clients += 1;
        }
        Fate::Kept
    }

    fn cuts_now(&self) -> bool {
        // ORDER: Relaxed, numbers that stand for themselves.
        let every = self.cut_every.load(Ordering::Relaxed);
        let count = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        let cuts = every > 0 && count.is_multiple_of(every);
        // ORDER: Relaxed, as above.
        self.cuts.fetch_add(u64::from(cuts), Ordering::Relaxed);
        cuts
    }
}

/// Passes on what comes until an end, or until it is to be cut; then both sides are shut.
fn pass(mut from: TcpStream, mut to: TcpStream, mut judge: impl FnMut() -> Fate) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).unwrap_or(0);
        let part = &bytes[..count];
        let fate = if count == 0 { Fate::Cut } else { judge() };
        if fate == Fate::Cut || (fate == Fate::PassedOn && to.write_all(part).is_err()) {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
