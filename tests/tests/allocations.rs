//! While it serves, a shard's thread takes no memory and gives none back: not once in a hundred
//! thousand requests, whatever way they come.
//!
//! The allocator of this binary counts on the shard's thread alone. It is told which one that is by
//! `Watched`, a role that is the pixel and marks the thread that it is asked on. zstd's contexts
//! count too: `edge` lets them take their memory from Rust's allocator. Crates that count
//! allocations know those of a process or of a closure; neither is a thread that another one runs.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

use brink_proto::{ImpressionRow, schema::Schema};
use brink_tests::{
    appliance::{Extra, Running, eventually, start_in},
    http::Client,
};
use edge::{
    config::ListenerConfig,
    http::answer::Answer,
    roles::{
        Moment, Outcome, Request, Role, Roles, Supplies,
        pixel::{Pixel, PixelView},
    },
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// The system's allocator, and a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static SEALED: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);
/// Size of what was taken or given back last: with it, a debugger finds the place.
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Needs neither memory nor a destructor, so an allocator may look at it at any time.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

fn count(counter: &AtomicU64, layout: Layout) {
    // ORDER: Relaxed, here and below: the thread that asks has read the answers of the shard's
    // thread from a socket, and that orders them.
    if WATCHED.get() && SEALED.load(Ordering::Relaxed) {
        counter.fetch_add(1, Ordering::Relaxed);
        BYTES.store(layout.size() as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came, and counting takes no memory itself
// and does not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&TAKEN, layout);
        // SAFETY: the caller keeps the rules of this trait, which are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&TAKEN, layout);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(&TAKEN, layout);
        count(&GIVEN_BACK, layout);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(&GIVEN_BACK, layout);
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

/// How often the watched thread took memory and gave it back while `work` ran.
fn counted(work: impl FnOnce()) -> (u64, u64) {
    let counters = [&TAKEN, &GIVEN_BACK, &BYTES];
    // ORDER: Relaxed, as in `count`.
    counters.iter().for_each(|counter| counter.store(0, Ordering::Relaxed));
    SEALED.store(true, Ordering::Relaxed);
    work();
    SEALED.store(false, Ordering::Relaxed);
    (TAKEN.load(Ordering::Relaxed), GIVEN_BACK.load(Ordering::Relaxed))
}

/// The pixel, and a path that takes memory, which shows that it would be seen.
struct Watched;

impl Role for Watched {
    type View = PixelView;
    type State = <Pixel as Role>::State;
    type Row<'a> = ImpressionRow<'a>;

    const NAME: &'static str = "watched";
    const TOPICS: &'static [&'static Schema] = Pixel::TOPICS;
    const ROUTES: &'static [&'static str] = Pixel::ROUTES;
    const OUTCOMES: &'static [&'static str] = Pixel::OUTCOMES;

    fn view(config: &ListenerConfig, supplies: Supplies) -> PixelView {
        Pixel::view(config, supplies)
    }

    fn state(view: &PixelView) -> Self::State {
        Pixel::state(view)
    }

    fn handle<'a>(
        request: &Request<'a>,
        view: &'a PixelView,
        state: &'a mut Self::State,
        moment: Moment,
        answer: &mut Answer<'_>,
    ) -> Outcome<ImpressionRow<'a>> {
        if !WATCHED.get() {
            assert_eq!(thread::current().name(), Some("shard-0"));
            WATCHED.set(true);
        }
        if request.head.path == b"/box" {
            drop(black_box(Box::new(black_box(7))));
        }
        Pixel::handle(request, view, state, moment, answer)
    }
}

fn appliance(ack: &str) -> Running {
    let listener = format!("ack = {{ \"/i.gif\" = \"{ack}\" }}");
    let extra = Extra { role: Some("watched"), listener: &listener, ..Extra::default() };
    start_in(tempfile::tempdir().unwrap(), &Roles::standard().with::<Watched>(), &extra)
}

/// What a browser sends, and a header on top.
fn pixel(number: u64, header: &str) -> String {
    format!(
        "GET /i.gif?n={number}&auction_id=9f6c2a41-0b7d HTTP/1.1\r\nHost: px.example.net\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/139.0.0.0\r\n\
         Referer: https://news.example.com/2026/11/some-article.html?from=front\r\n\
         Accept-Language: de-DE,de;q=0.9,en;q=0.8\r\nCookie: a=b; uid=4e1f0c77d2\r\n{header}\r\n"
    )
}

const CHUNKED: &str = "POST /i.gif HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n";

/// Sends one request after the other, on connections that come and go.
struct Driver<'a> {
    running: &'a Running,
    clients: Vec<Client>,
    sent: u64,
}

const CLIENTS: usize = 16;

/// Requests that a client sends before it reads the first answer. Longer than a buffer together, so
/// some of them are split as well.
const PIPELINED: usize = 32;

impl<'a> Driver<'a> {
    fn new(running: &'a Running) -> Driver<'a> {
        let clients = (0..CLIENTS).map(|_| running.connect()).collect();
        Driver { running, clients, sent: 0 }
    }

    /// Sends at least so many requests: in each round each client does something else.
    fn send(&mut self, requests: u64) {
        let until = self.sent + requests;
        for round in 0.. {
            if self.sent >= until {
                return;
            }
            for client in 0..CLIENTS {
                self.one_of_all(client, round + client);
            }
        }
    }

    fn one_of_all(&mut self, client: usize, number: usize) {
        match number % 8 {
            0 => self.ask(client, &[(&pixel(self.sent, ""), 200)]),
            1 => {
                let requests = [(pixel(self.sent, ""), 200), (pixel(self.sent + 1, ""), 200)];
                let requests = requests.each_ref().map(|(text, status)| (text.as_str(), *status));
                self.ask(client, &requests.repeat(PIPELINED / 2));
            }
            2 => self.split(client),
            // Longer than a buffer, so it is put together in a larger one.
            3 => {
                let header = format!("X-Long: {}\r\n", "x".repeat(6000));
                self.ask(client, &[(&pixel(self.sent, &header), 200)]);
            }
            4 => self.ask(client, &[(CHUNKED, 405), (&pixel(self.sent, ""), 200)]),
            5 => {
                let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
                let rows = [("/health", 200), ("/robots.txt", 200), ("/nothing", 404)];
                rows.iter().for_each(|(path, status)| self.ask(client, &[(&get(path), *status)]));
            }
            6 => {
                self.ask(client, &[(&pixel(self.sent, "Connection: close\r\n"), 200)]);
                assert!(self.clients[client].is_closed());
                self.clients[client] = self.running.connect();
            }
            _ => {
                self.ask(client, &[("NONSENSE\r\n\r\n", 400)]);
                self.clients[client] = self.running.connect();
            }
        }
    }

    /// Sends requests at once and reads their answers.
    fn ask(&mut self, client: usize, requests: &[(&str, u16)]) {
        let client = &mut self.clients[client];
        client.send(requests.iter().map(|(text, _)| *text).collect::<String>());
        for (text, status) in requests {
            assert_eq!(client.response().status, *status, "{text}");
        }
        self.sent += requests.len() as u64;
    }

    /// Sends a request in three parts, with a round trip of another client between them, so that
    /// they come in three receives.
    fn split(&mut self, client: usize) {
        let request = pixel(self.sent, "");
        let (first, rest) = request.split_at(20);
        let (second, third) = rest.split_at(200);
        for part in [first, second] {
            self.clients[client].send(part);
            self.ask((client + 1) % CLIENTS, &[("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 200)]);
        }
        self.ask(client, &[(third, 200)]);
    }
}

/// Serves `requests` of every kind under seal, after some that are not counted.
fn serve(ack: &str, requests: u64) {
    let running = appliance(ack);
    let board = running.board();
    let counters = &board.shards[0];
    let (_, topic) = counters.tap.topics().next().unwrap();
    let mut driver = Driver::new(&running);
    driver.send(requests / 20);

    let one = counted(|| driver.ask(0, &[("GET /box HTTP/1.1\r\nHost: a\r\n\r\n", 404)]));
    assert_eq!(one, (1, 1), "what a role takes is seen");

    let batches = topic.batches.read();
    let all = counted(|| {
        for _ in 0..4 {
            driver.send(requests / 4);
            // The service times go to whoever asks for them, and come back.
            assert_eq!(Client::connect(board.admin).get("/status").status, 200);
        }
    });
    // ORDER: Relaxed, as in `count`.
    let bytes = BYTES.load(Ordering::Relaxed);
    assert_eq!(all, (0, 0), "ack {ack}: memory taken and given back, the last of {bytes} bytes");

    // More batches than there are buffers: every buffer went to the spool and came back.
    let buffers = board.config.profile.shard.batch_buffers as u64;
    let handed_over = topic.batches.read() - batches;
    assert!(handed_over > 2 * buffers, "{handed_over} batches");
    let listener = &counters.listeners[0];
    let sum = |counters: &[brink_shipper::counter::Counter]| -> u64 {
        counters.iter().map(|c| c.read()).sum()
    };
    let sent = driver.sent;
    eventually("all are counted", || sum(&listener.answered) + sum(&listener.refused) == sent);
    assert!(listener.closed.read() > 0);
    drop(driver);
    let _ = running.stop();
}

/// One test, for there is one count.
#[test]
fn a_shard_that_serves_neither_takes_memory_nor_gives_any_back() {
    serve("received", 100_000);
    // Answers that wait for the disk: fewer, for each round of them is a commit.
    serve("durable", 4_000);
}
