//! Servers that do one thing exactly: the ruler's own weights.
//!
//! [`Null`] answers at once and stands beside every result: what it shows is the generator, the
//! loopback and the kernel, without a server. The others stall, are late, lie, hang up or say
//! nothing, and always by the same amount, so that it is known what a run against them must show.
//!
//! A responder is one thread. Where time matters it never sleeps, so a millisecond is a millisecond
//! and not a timer's idea of one; on a machine with a single core it waits in `epoll_wait` instead,
//! since it would otherwise keep the generator from its turn.

use crate::cores::pin;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener, net::TcpStream};
use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What a responder does with a request that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Answers at once.
    AtOnce,
    /// Answers so long after the request was found to be there, whatever else is under way.
    FixedDelay(Duration),
    /// Answers at once, but does nothing at all for a while, again and again.
    Stall {
        /// From the beginning of one stall to that of the next.
        every: Duration,
        /// How long one lasts, at least.
        length: Duration,
    },
    /// Answers with what is no HTTP.
    Garbage,
    /// Closes the connection instead of answering.
    Closing,
    /// Reads, and says nothing.
    Never,
}

/// The answer to everything.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The answer of those that do not speak HTTP.
const GARBAGE: &[u8] = b"\x00\x01 this is no answer\r\n\r\n";

/// What answers everything at once, and nothing else.
pub struct Null(Responder);

impl Null {
    /// Starts one on a port of its own, pinned to a core if one is named.
    ///
    /// # Errors
    /// When the system gives no socket or no thread, or the core cannot be had.
    pub fn start(cpu: Option<usize>) -> io::Result<Null> {
        Responder::start(Conduct::AtOnce, cpu).map(Null)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// A responder. Stops when it is dropped.
pub struct Responder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<thread::JoinHandle<()>>,
}

impl Responder {
    /// Starts one on a port of its own, pinned to a core if one is named.
    ///
    /// # Errors
    /// When the system gives no socket or no thread, or the core cannot be had.
    pub fn start(conduct: Conduct, cpu: Option<usize>) -> io::Result<Responder> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let stop = Arc::new(AtomicBool::new(false));
        let service = Service {
            conduct,
            spins: conduct.spins() && thread::available_parallelism()?.get() > 1,
            poll,
            listener,
            clients: Vec::new(),
            due: VecDeque::new(),
            next_stall: Instant::now(),
        };
        // The thread pins itself, and says on this channel whether it could. BOUND: one message.
        let (ready, pinned) = std::sync::mpsc::sync_channel(1);
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("responder".to_owned()).spawn(move || {
            let result = cpu.map_or(Ok(()), |cpu| pin(&[cpu]));
            let goes_on = result.is_ok();
            let _ = ready.send(result);
            if goes_on {
                // Without its poll it has nothing to serve, and its clients find it gone.
                let _ = service.run(&stopped);
            }
        })?;
        let gone = |_| Err(io::ErrorKind::BrokenPipe.into());
        let responder = Responder { address, stop, waker, thread: Some(thread) };
        pinned.recv().unwrap_or_else(gone).map(|()| responder)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // ORDER: Relaxed, a flag that carries nothing; the waker's system call comes after it.
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Conduct {
    /// Whether it matters to the microsecond when an answer leaves.
    fn spins(self) -> bool {
        matches!(self, Conduct::AtOnce | Conduct::FixedDelay(_) | Conduct::Stall { .. })
    }
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// Events that are taken at once; more wait for the next turn.
const EVENTS: usize = 1024;

/// BOUND: a request. One that is longer is closed, whatever the conduct.
const REQUEST_BYTES_MAX: usize = 1 << 20;

struct Service {
    conduct: Conduct,
    spins: bool,
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    /// When answers leave that were put off, and to whom: the delay is the same for all, so they
    /// stand in order. BOUND: one for each request under way.
    due: VecDeque<(Instant, usize, u64)>,
    next_stall: Instant,
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// Tells it from those that had its place before.
    generation: u64,
}

impl Service {
    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut scratch = vec![0; 64 * 1024];
        let mut accepted = 0;
        if let Conduct::Stall { every, length } = self.conduct {
            self.next_stall += every.saturating_sub(length);
        }
        // ORDER: Relaxed, see Drop.
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.stall(stop);
            let found = Instant::now();
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(&mut accepted)?,
                    Token(index) => self.serve(index, found, &mut scratch),
                }
            }
            self.answer_due();
        }
        Ok(())
    }

    /// How long to wait for something to happen; none is for ever.
    fn patience(&self) -> Option<Duration> {
        if self.spins {
            return Some(Duration::ZERO);
        }
        let next = match self.conduct {
            Conduct::Stall { .. } => Some(self.next_stall),
            _ => self.due.front().map(|(at, ..)| *at),
        };
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Does nothing, if it is time for that.
    fn stall(&mut self, stop: &AtomicBool) {
        let Conduct::Stall { every, length } = self.conduct else { return };
        let from = Instant::now();
        if from < self.next_stall {
            return;
        }
        // ORDER: Relaxed, see Drop.
        while from.elapsed() < length && !stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        while self.next_stall <= from {
            self.next_stall += every;
        }
    }

    fn accept(&mut self, accepted: &mut u64) -> io::Result<()> {
        // An error is that there are no more, that one was gone before it was taken, or too many
        // files; those that are there go on.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let free = self.clients.iter().position(Option::is_none);
            let index = free.unwrap_or(self.clients.len());
            if free.is_none() {
                self.clients.push(None);
            }
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), interest)?;
            // The generator may have reset it already; then the next read says so.
            let _ = stream.set_nodelay(true);
            *accepted += 1;
            let (received, unsent) = (Vec::new(), Vec::new());
            let generation = *accepted;
            self.clients[index] = Some(Client { stream, received, unsent, generation });
        }
        Ok(())
    }

    /// Sends what was left over, reads what has come, and does with it what this one does.
    fn serve(&mut self, index: usize, found: Instant, scratch: &mut [u8]) {
        let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) else { return };
        let mut lives = client.flush();
        while lives {
            match client.stream.read(scratch) {
                Ok(0) => lives = false,
                Ok(count) => client.received.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => lives = false,
            }
            while let Some(bytes) = lives.then(|| request_bytes(&client.received)).flatten() {
                client.received.drain(..bytes);
                lives = match self.conduct {
                    Conduct::AtOnce | Conduct::Stall { .. } => client.send(ANSWER),
                    Conduct::Garbage => client.send(GARBAGE),
                    Conduct::Closing => false,
                    Conduct::Never => true,
                    Conduct::FixedDelay(delay) => {
                        self.due.push_back((found + delay, index, client.generation));
                        true
                    }
                };
            }
            lives &= client.received.len() <= REQUEST_BYTES_MAX;
        }
        if !lives {
            self.clients[index] = None;
        }
    }

    /// Sends the answers whose time has come.
    fn answer_due(&mut self) {
        while let Some((at, index, generation)) = self.due.front().copied() {
            if at > Instant::now() {
                return;
            }
            self.due.pop_front();
            let client = self.clients[index].as_mut().filter(|c| c.generation == generation);
            if client.is_some_and(|client| !client.send(ANSWER)) {
                self.clients[index] = None;
            }
        }
    }
}

impl Client {
    /// Sends; whether the connection still stands.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Bytes of the first request, if it is whole. What is no HTTP is a request up to its empty line.
fn request_bytes(received: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    let head_bytes = received.windows(end.len()).position(|w| w == end)? + end.len();
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let body_bytes = match request.parse(&received[..head_bytes]) {
        Ok(_) => {
            let header = request.headers.iter();
            let mut lengths = header.filter(|h| h.name.eq_ignore_ascii_case("content-length"));
            let text = lengths.next().and_then(|h| std::str::from_utf8(h.value).ok());
            text.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0)
        }
        Err(_) => 0,
    };
    let bytes = head_bytes.checked_add(body_bytes)?;
    (bytes <= received.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connect(responder: &Responder) -> net::TcpStream {
        let stream = net::TcpStream::connect(responder.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes and reads so many, or up to the end.
    fn asked(stream: &mut net::TcpStream, request: &[u8], bytes: usize) -> Vec<u8> {
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.take(bytes as u64).read_to_end(&mut answer).unwrap();
        answer
    }

    #[test]
    fn everything_is_answered_in_order_and_in_whatever_pieces_it_comes() {
        let responder = Responder::start(Conduct::AtOnce, None).unwrap();
        let mut stream = connect(&responder);
        let post =
            b"POST /a HTTP/1.1\r\nContent-Length: 30\r\n\r\n{\"not a head\": \"\r\n\r\n-------\"}.";
        let all = [GET, post, b"no HTTP\r\n\r\n", GET].concat();
        for piece in all.chunks(7) {
            stream.write_all(piece).unwrap();
        }
        assert_eq!(asked(&mut stream, b"", 4 * ANSWER.len()), ANSWER.repeat(4));
    }

    #[test]
    fn an_answer_that_is_put_off_does_not_come_before_its_time() {
        let delay = Duration::from_millis(3);
        let responder = Responder::start(Conduct::FixedDelay(delay), None).unwrap();
        let mut stream = connect(&responder);
        for _ in 0..3 {
            let sent = Instant::now();
            assert_eq!(asked(&mut stream, GET, ANSWER.len()), ANSWER);
            assert!(sent.elapsed() >= delay, "{:?}", sent.elapsed());
        }
    }

    #[test]
    fn what_stalls_says_nothing_until_its_stall_is_over() {
        let (every, length) = (Duration::from_millis(40), Duration::from_millis(20));
        let responder = Responder::start(Conduct::Stall { every, length }, None).unwrap();
        let mut stream = connect(&responder);
        let begun = Instant::now();
        // Sooner or later one is asked while a stall begins.
        let mut worst = Duration::ZERO;
        while worst < length / 2 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{worst:?}");
            let sent = Instant::now();
            assert_eq!(asked(&mut stream, GET, ANSWER.len()), ANSWER);
            worst = worst.max(sent.elapsed());
        }
    }

    #[test]
    fn those_that_misbehave_do_so_by_the_same_amount_every_time() {
        for (conduct, want) in [(Conduct::Garbage, GARBAGE), (Conduct::Closing, b"".as_slice())] {
            let responder = Responder::start(conduct, None).unwrap();
            for _ in 0..3 {
                let mut stream = connect(&responder);
                assert_eq!(asked(&mut stream, GET, GARBAGE.len()), want, "{conduct:?}");
            }
        }
        let responder = Responder::start(Conduct::Never, None).unwrap();
        let mut stream = connect(&responder);
        stream.write_all(GET).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // Going away ends what is awaited: the connection is closed and not left hanging.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(responder);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }

    #[test]
    fn a_core_that_there_is_not_is_an_error() {
        use rustix::thread::CpuSet;
        assert!(Null::start(Some(CpuSet::MAX_CPU)).is_err());
        assert!(Null::start(Some(CpuSet::MAX_CPU - 1)).is_err());
        let core = crate::cores::allowed().unwrap().first().copied();
        assert!(Null::start(core).is_ok_and(|null| null.address().port() != 0));
    }
}
