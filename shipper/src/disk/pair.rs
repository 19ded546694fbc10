//! Two folders on two disks, as one: where one fails or is full, segments go to the other.
//!
//! Segments are what is split; everything else lies in the first folder. A new segment goes first
//! to the folder that did not fail last, so a dying disk is left alone, and is asked again when the
//! other one fails as well. What lies where is known by name, and no generation is given twice. So
//! a name that stands in both folders is what is left in one of them of a segment that could not be
//! made there: it has no head.

use super::{Disk, DiskFile, ReadFile};
use crate::spool::segment::{self, FOLDER as SEGMENTS};
use brink_proto::frame::FRAME_ALIGN;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    io,
    rc::Rc,
};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// One disk, or two.
#[derive(Clone)]
pub struct Pair<D> {
    first: D,
    second: Option<D>,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    /// Names that lie on the second disk. BOUND: its segments.
    on_second: RefCell<BTreeSet<String>>,
    /// Where something was not taken last.
    failed: Cell<Option<Side>>,
    /// Where the last segment was made, or named: that name is what has to become durable.
    made: Cell<Option<Side>>,
}

/// An open file on one of them.
pub struct PairFile<F> {
    file: F,
    side: Side,
    state: Rc<State>,
}

impl<D: Disk> Pair<D> {
    /// Finds out what lies where.
    ///
    /// # Errors
    /// What the disks said; [`io::ErrorKind::InvalidData`] when a segment lies on both.
    pub async fn open(first: D, second: Option<D>) -> io::Result<Pair<D>> {
        let pair = Pair { first, second, state: Rc::default() };
        let Some(second) = &pair.second else { return Ok(pair) };
        let there = second.list(SEGMENTS).await?;
        let here = pair.first.list(SEGMENTS).await?;
        for (name, _) in there {
            let path = format!("{SEGMENTS}/{name}");
            if here.iter().any(|(known, _)| *known == name) {
                match (has_head(&pair.first, &path).await?, has_head(second, &path).await?) {
                    (true, true) => {
                        let text = format!("{path} lies in both folders of the spool");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                    }
                    (true, false) => {
                        second.remove(&path).await?;
                        continue;
                    }
                    (false, _) => pair.first.remove(&path).await?,
                }
            }
            pair.state.on_second.borrow_mut().insert(path);
        }
        Ok(pair)
    }

    fn disk(&self, side: Side) -> &D {
        match (side, &self.second) {
            (Side::Second, Some(second)) => second,
            _ => &self.first,
        }
    }

    fn side_of(&self, name: &str) -> Side {
        match self.state.on_second.borrow().contains(name) {
            true => Side::Second,
            false => Side::First,
        }
    }

    /// A name lies here from now on.
    fn place(&self, name: &str, side: Side) {
        let mut on_second = self.state.on_second.borrow_mut();
        match side {
            Side::First => drop(on_second.remove(name)),
            Side::Second => drop(on_second.insert(name.to_owned())),
        }
    }

    fn file(&self, file: D::File, side: Side) -> PairFile<D::File> {
        PairFile { file, side, state: Rc::clone(&self.state) }
    }
}

impl State {
    /// What a disk answered; one that refuses is not asked first any more.
    fn noted<T>(&self, side: Side, answer: io::Result<T>) -> io::Result<T> {
        if answer.is_err() {
            self.failed.set(Some(side));
        }
        answer
    }
}

/// Whether a segment was ever begun in a file, by whatever build.
async fn has_head<D: Disk>(disk: &D, path: &str) -> io::Result<bool> {
    let mut block = Vec::new();
    disk.open(path).await?.read(0, FRAME_ALIGN, &mut block).await?;
    Ok(segment::read_head(&block) != Ok(None))
}

impl<D: Disk> Disk for Pair<D> {
    type Buffer = D::Buffer;
    type File = PairFile<D::File>;

    fn buffer(&self, bytes: usize) -> D::Buffer {
        self.first.buffer(bytes)
    }

    async fn create(&self, name: &str, bytes: u64) -> io::Result<Self::File> {
        let is_split = self.second.is_some() && name.starts_with(SEGMENTS);
        let sides: &[Side] = match self.state.failed.get() {
            _ if !is_split => &[Side::First],
            Some(Side::First) => &[Side::Second, Side::First],
            _ => &[Side::First, Side::Second],
        };
        let mut answer = Err(io::Error::other("there is no disk"));
        for side in sides {
            answer = self.state.noted(*side, self.disk(*side).create(name, bytes).await);
            if let Ok(file) = answer {
                if is_split {
                    self.place(name, *side);
                    self.state.made.set(Some(*side));
                }
                return Ok(self.file(file, *side));
            }
            // What is left of it is found out by the next start, if it cannot be removed now.
            let _ = self.disk(*side).remove(name).await;
        }
        answer.map(|file| self.file(file, Side::First))
    }

    async fn open(&self, name: &str) -> io::Result<Self::File> {
        let side = self.side_of(name);
        Ok(self.file(self.disk(side).open(name).await?, side))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let side = self.side_of(from);
        self.state.noted(side, self.disk(side).rename(from, to).await)?;
        self.place(from, Side::First);
        self.place(to, side);
        if segment::is_segment(to) {
            self.state.made.set(Some(side));
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.disk(self.side_of(name)).remove(name).await?;
        self.place(name, Side::First);
        Ok(())
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let mut names = self.first.list(folder).await?;
        if let Some(second) = self.second.as_ref().filter(|_| folder == SEGMENTS) {
            names.extend(second.list(folder).await?);
        }
        Ok(names)
    }

    async fn allocated(&self, name: &str) -> io::Result<u64> {
        self.disk(self.side_of(name)).allocated(name).await
    }

    async fn free(&self, name: &str, ranges: &[(u64, u64)]) -> io::Result<()> {
        self.disk(self.side_of(name)).free(name, ranges).await
    }

    async fn sync_names(&self, folder: &str) -> io::Result<()> {
        let made = self.state.made.get().filter(|_| folder == SEGMENTS);
        let side = made.unwrap_or(Side::First);
        self.state.noted(side, self.disk(side).sync_names(folder).await)
    }
}

impl<F: ReadFile> ReadFile for PairFile<F> {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        self.file.read(offset, bytes, out).await
    }
}

impl<F: DiskFile> DiskFile for PairFile<F> {
    type Buffer = F::Buffer;

    async fn write(&self, offset: u64, buffer: F::Buffer) -> io::Result<()> {
        self.state.noted(self.side, self.file.write(offset, buffer).await)
    }

    async fn sync(&self) -> io::Result<()> {
        self.state.noted(self.side, self.file.sync().await)
    }
}
