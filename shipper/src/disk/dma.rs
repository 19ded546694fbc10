//! The real disk: direct I/O through glommio, and its timer.
//!
//! glommio is used for what it is good at here: aligned buffers, direct reads and writes, and task
//! queues with shares. It stays behind the seam, and the formats owe it nothing.

use super::{AlignedBuffer, Disk, DiskFile, ReadFile, Timer};
use glommio::{
    GlommioError,
    io::{Directory, DmaBuffer, DmaFile, OpenOptions},
};
use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// A folder on a real disk. Lives on a glommio executor.
#[derive(Clone)]
pub struct DmaDisk {
    root: Rc<PathBuf>,
}

impl DmaDisk {
    /// The folder at `root`, which exists.
    ///
    /// # Errors
    /// What the system said when it does not, or takes no direct I/O.
    pub async fn open(root: &Path) -> io::Result<DmaDisk> {
        // glommio opens folders by absolute paths alone.
        let root = root.canonicalize()?;
        probe_polling(&root.join(".probe")).await?;
        Ok(DmaDisk { root: Rc::new(root) })
    }
}

/// Lets glommio find out whether the device completes by polling.
///
/// It does so when it opens its first file of a device, by a read. A read of an empty file ends
/// before it reaches the device and seems to say yes; every later read then fails. So its first
/// file has something in it.
async fn probe_polling(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&[1; 4096])?;
    file.sync_all()?;
    let probed = OpenOptions::new().read(true).dma_open(path).await.map_err(plain)?;
    probed.close().await.map_err(plain)?;
    std::fs::remove_file(path)
}

impl AlignedBuffer for DmaBuffer {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.as_bytes_mut()
    }
}

impl Disk for DmaDisk {
    type Buffer = DmaBuffer;
    type File = DmaFile;

    fn buffer(&self, bytes: usize) -> DmaBuffer {
        glommio::allocate_dma_buffer(bytes)
    }

    async fn create(&self, name: &str, bytes: u64) -> io::Result<DmaFile> {
        let path = self.root.join(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).dma_open(&path).await;
        let file = file.map_err(plain)?;
        file.pre_allocate(bytes, false).await.map_err(plain)?;
        Ok(file)
    }

    async fn open(&self, name: &str) -> io::Result<DmaFile> {
        let path = self.root.join(name);
        OpenOptions::new().read(true).write(true).dma_open(&path).await.map_err(plain)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to))
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.root.join(name))
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, entry.metadata()?.len()));
            }
        }
        Ok(names)
    }

    async fn allocated(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.root.join(name))?.blocks() * STAT_BLOCK_BYTES)
    }

    async fn free(&self, name: &str, ranges: &[(u64, u64)]) -> io::Result<()> {
        let file = File::options().write(true).open(self.root.join(name))?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for (offset, bytes) in ranges {
            fallocate(&file, flags, *offset, *bytes)?;
        }
        Ok(())
    }

    async fn sync_names(&self, folder: &str) -> io::Result<()> {
        let directory = Directory::open(self.root.join(folder)).await.map_err(plain)?;
        directory.sync().await.map_err(plain)?;
        directory.close().await.map_err(plain)
    }
}

impl ReadFile for DmaFile {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        while out.len() < bytes {
            let part = (bytes - out.len()).min(READ_BYTES_MAX);
            let at = offset + out.len() as u64;
            let read = self.read_at_aligned(at, part).await.map_err(plain)?;
            out.extend_from_slice(&read);
            if read.len() < part {
                break; // the end of the file
            }
        }
        Ok(())
    }
}

impl DiskFile for DmaFile {
    type Buffer = DmaBuffer;

    async fn write(&self, offset: u64, buffer: DmaBuffer) -> io::Result<()> {
        let want = buffer.len();
        let written = self.write_at(buffer, offset).await.map_err(plain)?;
        if written == want {
            return Ok(());
        }
        // A short direct write means that the device ran out of room in the middle.
        let text = format!("wrote {written} of {want} bytes at {offset}");
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    async fn sync(&self) -> io::Result<()> {
        self.fdatasync().await.map_err(plain)
    }
}

/// What `stat` counts blocks in, whatever the file system's are.
const STAT_BLOCK_BYTES: u64 = 512;

/// glommio hangs on reads above the device's limit of sectors (its issues 633 and 635).
const READ_BYTES_MAX: usize = 64 * 1024;

fn plain<T>(error: GlommioError<T>) -> io::Error {
    io::Error::from(error)
}

/// The real timer. Lives on a glommio executor.
#[derive(Clone)]
pub struct DmaTimer {
    start: Instant,
}

impl DmaTimer {
    /// A timer that starts now.
    #[must_use]
    pub fn start() -> DmaTimer {
        DmaTimer { start: Instant::now() }
    }
}

impl Timer for DmaTimer {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        glommio::timer::sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};

    #[test]
    fn room_that_is_given_back_is_the_disks_again_and_reads_as_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let freed = move || async move {
            let disk = DmaDisk::open(&path).await.unwrap();
            let file = disk.create("a", 1 << 20).await.unwrap();
            let mut buffer = disk.buffer(1 << 20);
            buffer.bytes_mut().fill(7);
            file.write(0, buffer).await.unwrap();
            file.sync().await.unwrap();
            let before = disk.allocated("a").await.unwrap();
            let part = 256 << 10;
            disk.free("a", &[(part, part), (3 * part, part)]).await.unwrap();
            let given_back = before - disk.allocated("a").await.unwrap();
            let mut bytes = Vec::new();
            file.read(0, 1 << 20, &mut bytes).await.unwrap();
            file.close().await.unwrap();
            (given_back, bytes)
        };
        let executor = LocalExecutorBuilder::new(Placement::Unbound).spawn(freed).unwrap();
        let (given_back, bytes) = executor.join().unwrap();
        assert_eq!(given_back, 512 << 10);
        let parts: Vec<_> =
            bytes.chunks(256 << 10).map(|part| (part[0], part[part.len() - 1])).collect();
        assert_eq!(parts, [(7, 7), (0, 0), (7, 7), (0, 0)]);
    }
}
