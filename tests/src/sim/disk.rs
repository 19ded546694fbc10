//! A disk that can fail, fill, tear and lose its power.
//!
//! What was written is not durable before a sync, and names not before theirs. At a crash each
//! 512-byte sector of what was not synced is kept or lost by chance, and so is each name.
//!
//! A sync that fails takes what it was to write for written, as Linux does: it is seen, no later
//! sync of the file makes it durable, whoever asks, and a crash may lose it. What is written again
//! is what the next sync writes.

use super::{
    clock::SimClock,
    fault::{Failed, Fault, Operations},
    random::Random,
};
use brink_shipper::disk::{AlignedBuffer, Disk, DiskFile, ReadFile, Timer};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    rc::Rc,
    time::Duration,
};

const SECTOR: usize = 512;

const BLOCK: usize = 4096;

/// How a disk fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Writes that fail, in percent.
    pub write_errors: u64,
    /// Syncs that fail, in percent.
    pub sync_errors: u64,
    /// Bytes that fit; none when there is no end.
    pub capacity: Option<u64>,
    /// Longest time of a write or sync.
    pub slowest: Duration,
}

/// A disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Rc<Shared>,
}

struct Shared {
    clock: SimClock,
    random: Random,
    faults: Cell<Faults>,
    files: RefCell<BTreeMap<u64, Contents>>,
    /// What is seen now.
    names: RefCell<BTreeMap<String, u64>>,
    /// What survives.
    durable_names: RefCell<BTreeMap<String, u64>>,
    next: Cell<u64>,
    /// Counts up at each crash: files of an earlier life are dead.
    life: Cell<u64>,
    syncs: Cell<u64>,
    /// Sectors whose sync had failed, and that nobody wrote again before a crash.
    forgot: Cell<u64>,
    /// Those that change something.
    changes: Operations,
    /// Those that look: at names, at sizes, at what was written.
    reads: Operations,
}

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// Sectors as they were when they were synced last, for those that were written since.
    unsynced: BTreeMap<usize, Vec<u8>>,
    /// The same for those that a sync was to write that failed: the next one passes them over.
    forgotten: BTreeMap<usize, Vec<u8>>,
    /// Blocks whose room was given back.
    holes: BTreeSet<usize>,
}

impl Contents {
    fn allocated(&self) -> u64 {
        (self.bytes.len() - self.holes.len() * BLOCK) as u64
    }

    /// Holes among the blocks of a range.
    fn holes_in(&self, from: usize, to: usize) -> u64 {
        (self.holes.range(from / BLOCK..to.div_ceil(BLOCK)).count() * BLOCK) as u64
    }

    /// Puts bytes into a sector, which may be lost until they are synced.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let place = &mut self.bytes[at..at + bytes.len()];
        let forgotten = self.forgotten.remove(&(at / SECTOR));
        let before = self.unsynced.entry(at / SECTOR);
        before.or_insert_with(|| forgotten.unwrap_or_else(|| place.to_vec()));
        place.copy_from_slice(bytes);
    }
}

/// An open file.
#[derive(Clone)]
pub struct SimFile {
    disk: SimDisk,
    number: u64,
    life: u64,
}

/// Memory for a write.
pub struct SimBuffer(Vec<u8>);

impl AlignedBuffer for SimBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl SimDisk {
    /// An empty disk with the spool's folders.
    #[must_use]
    pub fn new(clock: SimClock, random: Random) -> SimDisk {
        let shared = Shared {
            clock,
            random,
            faults: Cell::new(Faults::default()),
            files: RefCell::default(),
            names: RefCell::default(),
            durable_names: RefCell::default(),
            next: Cell::new(0),
            life: Cell::new(0),
            syncs: Cell::new(0),
            forgot: Cell::new(0),
            changes: Operations::default(),
            reads: Operations::default(),
        };
        SimDisk { shared: Rc::new(shared) }
    }

    /// How it fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.set(faults);
    }

    /// Which operations that change something fail from now on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.changes.set_fault(fault);
    }

    /// Which operations that look at something fail from now on.
    pub fn set_read_fault(&self, fault: Option<Fault>) {
        self.shared.reads.set_fault(fault);
    }

    /// Operations that change something, since a fault of them was said, or unsaid.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.changes.count()
    }

    /// Operations that look at something, since a fault of them was said, or unsaid.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.count()
    }

    /// The last change that failed since a fault was said.
    #[must_use]
    pub fn failed(&self) -> Option<Failed> {
        self.shared.changes.failed()
    }

    /// Syncs that were done.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.shared.syncs.get()
    }

    /// Sectors whose sync had failed, and that nobody wrote again before a crash: those that it
    /// took had been seen by whoever started between.
    #[must_use]
    pub fn forgot(&self) -> u64 {
        self.shared.forgot.get()
    }

    /// The power fails: what was not synced survives by chance.
    pub fn crash(&self) {
        let shared = &self.shared;
        shared.life.set(shared.life.get() + 1);
        for contents in shared.files.borrow_mut().values_mut() {
            let forgotten = std::mem::take(&mut contents.forgotten);
            shared.forgot.set(shared.forgot.get() + forgotten.len() as u64);
            let unsure = std::mem::take(&mut contents.unsynced).into_iter().chain(forgotten);
            for (sector, before) in unsure.filter(|_| shared.random.chance(50)) {
                let at = sector * SECTOR;
                contents.bytes[at..at + before.len()].copy_from_slice(&before);
                contents.holes.remove(&(at / BLOCK));
            }
        }
        let now = shared.names.borrow().clone();
        let mut survived = shared.durable_names.borrow().clone();
        for (name, number) in &now {
            if shared.random.chance(50) {
                survived.insert(name.clone(), *number);
            }
        }
        let gone = survived.keys().filter(|name| !now.contains_key(*name)).cloned();
        for name in gone.collect::<Vec<_>>() {
            if shared.random.chance(50) {
                survived.remove(&name);
            }
        }
        // A renamed file may be seen under one of its names, not under both.
        let mut seen = BTreeSet::new();
        survived.retain(|_, number| seen.insert(*number));
        *shared.names.borrow_mut() = survived.clone();
        *shared.durable_names.borrow_mut() = survived;
    }

    /// The process dies, and the machine lives: everything written is kept, but for what a sync
    /// that failed has left to be seen.
    pub fn kill(&self) {
        let shared = &self.shared;
        shared.life.set(shared.life.get() + 1);
        for contents in shared.files.borrow_mut().values_mut() {
            contents.unsynced.clear();
        }
        *shared.durable_names.borrow_mut() = shared.names.borrow().clone();
    }

    /// Changes the bytes of the file whose name ends so, as nobody should.
    ///
    /// # Panics
    /// When there is none.
    pub fn edit(&self, ending: &str, change: impl FnOnce(&mut [u8])) {
        let names = self.shared.names.borrow();
        let number = names.iter().find(|(name, _)| name.ends_with(ending)).map(|(_, n)| *n);
        let mut files = self.shared.files.borrow_mut();
        let contents = number.and_then(|number| files.get_mut(&number));
        change(&mut contents.unwrap_or_else(|| panic!("no {ending}")).bytes);
    }

    /// All files with what is in them.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.shared.files.borrow();
        let bytes = |number| files.get(number).map(|c| c.bytes.clone()).unwrap_or_default();
        self.shared.names.borrow().iter().map(|(name, n)| (name.clone(), bytes(n))).collect()
    }

    /// Names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.shared.names.borrow().keys().cloned().collect()
    }

    fn used(&self) -> u64 {
        let files = self.shared.files.borrow();
        let names = self.shared.names.borrow();
        names.values().filter_map(|n| files.get(n)).map(Contents::allocated).sum()
    }

    /// Takes its time.
    async fn work(&self) {
        let slowest = self.shared.faults.get().slowest.as_nanos() as u64;
        if slowest > 0 {
            let time = self.shared.random.within(0..slowest);
            self.shared.clock.sleep(Duration::from_nanos(time)).await;
        }
    }

    fn open_number(&self, number: u64) -> SimFile {
        SimFile { disk: self.clone(), number, life: self.shared.life.get() }
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, name.to_owned())
}

impl Disk for SimDisk {
    type Buffer = SimBuffer;
    type File = SimFile;

    fn buffer(&self, bytes: usize) -> SimBuffer {
        assert!(bytes.is_multiple_of(4096), "direct I/O is aligned");
        SimBuffer(vec![0xEE; bytes])
    }

    async fn create(&self, name: &str, bytes: u64) -> io::Result<SimFile> {
        self.work().await;
        self.shared.changes.begin("create", name, None)?;
        if self.shared.names.borrow().contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let capacity = self.shared.faults.get().capacity;
        if capacity.is_some_and(|capacity| self.used() + bytes > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        let number = self.shared.next.replace(self.shared.next.get() + 1);
        let contents = Contents { bytes: vec![0; bytes as usize], ..Contents::default() };
        self.shared.files.borrow_mut().insert(number, contents);
        self.shared.names.borrow_mut().insert(name.to_owned(), number);
        Ok(self.open_number(number))
    }

    async fn open(&self, name: &str) -> io::Result<SimFile> {
        self.shared.reads.begin("open", name, None)?;
        let number = self.shared.names.borrow().get(name).copied();
        number.map(|number| self.open_number(number)).ok_or_else(|| not_found(name))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.changes.begin("rename", from, None)?;
        let mut names = self.shared.names.borrow_mut();
        let number = names.remove(from).ok_or_else(|| not_found(from))?;
        names.insert(to.to_owned(), number);
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.shared.changes.begin("remove", name, None)?;
        let removed = self.shared.names.borrow_mut().remove(name);
        removed.map(|_| ()).ok_or_else(|| not_found(name))
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        self.shared.reads.begin("list", folder, None)?;
        let files = self.shared.files.borrow();
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = |(name, number): (&String, &u64)| {
            let rest = name.strip_prefix(&prefix).filter(|rest| !rest.contains('/'))?;
            Some((rest.to_owned(), files.get(number)?.bytes.len() as u64))
        };
        Ok(self.shared.names.borrow().iter().filter_map(inside).collect())
    }

    async fn allocated(&self, name: &str) -> io::Result<u64> {
        self.shared.reads.begin("allocated", name, None)?;
        let number = self.shared.names.borrow().get(name).copied();
        let files = self.shared.files.borrow();
        let contents = number.and_then(|number| files.get(&number));
        contents.map(Contents::allocated).ok_or_else(|| not_found(name))
    }

    async fn free(&self, name: &str, ranges: &[(u64, u64)]) -> io::Result<()> {
        self.work().await;
        self.shared.changes.begin("free", name, None)?;
        let number = self.shared.names.borrow().get(name).copied();
        let mut files = self.shared.files.borrow_mut();
        let contents = number.and_then(|number| files.get_mut(&number));
        let contents = contents.ok_or_else(|| not_found(name))?;
        for (offset, bytes) in ranges {
            let range = *offset as usize..(*offset + *bytes) as usize;
            assert!(range.start.is_multiple_of(BLOCK) && range.end.is_multiple_of(BLOCK));
            // What the power leaves of it is one or the other, and nobody may care.
            range.clone().step_by(SECTOR).for_each(|at| contents.put(at, &[0; SECTOR]));
            contents.holes.extend(range.step_by(BLOCK).map(|at| at / BLOCK));
        }
        Ok(())
    }

    async fn sync_names(&self, folder: &str) -> io::Result<()> {
        self.work().await;
        self.shared.changes.begin("sync_names", folder, None)?;
        let inside = |name: &str| match folder {
            "" => !name.contains('/'),
            folder => name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
        };
        let names = self.shared.names.borrow();
        let mut durable = self.shared.durable_names.borrow_mut();
        durable.retain(|name, _| !inside(name));
        let now = names.iter().filter(|(name, _)| inside(name));
        durable.extend(now.map(|(name, number)| (name.clone(), *number)));
        Ok(())
    }
}

impl SimFile {
    /// A file that was opened before the last crash does nothing any more.
    fn is_alive(&self) -> bool {
        self.life == self.disk.shared.life.get()
    }

    /// Counts an operation on it.
    fn begin(&self, operations: &Operations, what: &'static str) -> io::Result<()> {
        let names = self.disk.shared.names.borrow();
        let name = names.iter().find(|(_, number)| **number == self.number);
        operations.begin(what, name.map_or("", |(name, _)| name), Some(self.number))
    }
}

impl ReadFile for SimFile {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        self.begin(&self.disk.shared.reads, "read")?;
        let files = self.disk.shared.files.borrow();
        let contents = files.get(&self.number).ok_or(ErrorKind::NotFound)?;
        let from = (offset as usize).min(contents.bytes.len());
        let to = (from + bytes).min(contents.bytes.len());
        out.clear();
        out.extend_from_slice(&contents.bytes[from..to]);
        Ok(())
    }
}

impl DiskFile for SimFile {
    type Buffer = SimBuffer;

    async fn write(&self, offset: u64, buffer: SimBuffer) -> io::Result<()> {
        let shared = &self.disk.shared;
        self.disk.work().await;
        self.begin(&shared.changes, "write")?;
        if !self.is_alive() || shared.random.chance(shared.faults.get().write_errors) {
            return Err(io::Error::other("the disk refuses a write"));
        }
        let used = self.disk.used();
        let mut files = shared.files.borrow_mut();
        let contents = files.get_mut(&self.number).ok_or(ErrorKind::NotFound)?;
        let from = offset as usize;
        let end = from + buffer.0.len();
        assert!(end <= contents.bytes.len(), "writes stay inside what was preallocated");
        let more = contents.holes_in(from, end);
        let capacity = shared.faults.get().capacity;
        if more > 0 && capacity.is_some_and(|capacity| used + more > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        let written = from / BLOCK..end.div_ceil(BLOCK);
        contents.holes.retain(|block| !written.contains(block));
        for (sector, bytes) in buffer.0.chunks(SECTOR).enumerate() {
            contents.put(from + sector * SECTOR, bytes);
        }
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        let shared = &self.disk.shared;
        self.disk.work().await;
        let begun = self.begin(&shared.changes, "sync");
        if !self.is_alive() {
            return Err(io::Error::other("the file is one of an earlier life"));
        }
        let is_refused = shared.random.chance(shared.faults.get().sync_errors);
        let synced = match begun {
            Ok(()) if is_refused => Err(io::Error::other("the disk refuses a sync")),
            begun => begun,
        };
        let mut files = shared.files.borrow_mut();
        let contents = files.get_mut(&self.number).ok_or(ErrorKind::NotFound)?;
        let written = std::mem::take(&mut contents.unsynced);
        match synced {
            Ok(()) => shared.syncs.set(shared.syncs.get() + 1),
            Err(_) => contents.forgotten.extend(written),
        }
        synced
    }
}
