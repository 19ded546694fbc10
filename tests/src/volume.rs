//! A small disk of its own: an ext4 file system in a file, mounted for as long as the value lives.

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The mounted file system. Whoever works on it has to be gone before it is dropped.
pub struct Volume {
    dir: TempDir,
    mounted: bool,
}

impl Volume {
    /// Makes one of `mib` MiB, and mounts it.
    ///
    /// # Panics
    /// When something for that is missing: root, `mkfs.ext4`, `mount`, or a loop device.
    #[must_use]
    pub fn mount(mib: u64) -> Volume {
        let mut volume = Volume { dir: tempfile::tempdir().expect("a folder"), mounted: false };
        let image = volume.dir.path().join("image");
        let file = File::create(&image).expect("a file");
        file.set_len(mib << 20).expect("a sparse file");
        fs::create_dir(volume.path()).expect("a folder");
        // Nothing is kept back for root, who runs this test.
        run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&image]);
        run("mount", &["-o", "loop"], &[&image, &volume.path()]);
        volume.mounted = true;
        volume
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// Lets nobody write on it any more.
    ///
    /// # Panics
    /// When somebody has a file open to write.
    pub fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro"], &[&self.path()]);
    }

    /// Takes all the room that is left, with a file that is to be removed; its path.
    ///
    /// # Panics
    /// When the file system refuses something else than room.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let file = File::create(&path).expect("a file");
        let (mut taken, mut part) = (0, self.free_bytes().next_power_of_two());
        // What the figures promise is not what can be had, so it is taken in ever smaller parts.
        while part >= 4096 {
            match fallocate(&file, FallocateFlags::empty(), taken, part) {
                Ok(()) => taken += part,
                Err(rustix::io::Errno::NOSPC) => part /= 2,
                Err(error) => panic!("the filler: {error}"),
            }
        }
        path
    }

    fn free_bytes(&self) -> u64 {
        let figures = statvfs(self.path()).expect("figures of the file system");
        figures.f_bavail * figures.f_frsize
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted {
            // A panic elsewhere may have left somebody on it: then it goes when they do.
            let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} stays mounted", self.path().display());
            }
        }
    }
}

fn run(program: &str, options: &[&str], paths: &[&Path]) {
    let mut command = Command::new(program);
    command.args(options).args(paths);
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} cannot be run: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} (this test needs root): {error}");
}
