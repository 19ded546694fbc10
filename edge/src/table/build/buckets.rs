//! Pass 3: keys and places, in order, become groups of buckets.

use super::{
    BuildError, check,
    output::{BUFFER_BYTES, Output},
    progress::Progress,
    users::PLACE_BYTES,
};
use brink_proto::table::{
    Key,
    write::{Group, WriteError, group_of, groups_for, more_groups},
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::atomic::AtomicBool,
};

/// How many groups pass between two looks at whether somebody wants it to end.
const GROUPS_PER_CHECK: u32 = 1024;

/// Writes the buckets; returns how many groups there are.
pub(super) fn write(
    places: &File,
    users: u64,
    output: &mut Output,
    progress: &mut Progress,
    stop: &AtomicBool,
) -> Result<u32, BuildError> {
    let mut groups = groups_for(users)?;
    loop {
        match fill(places, groups, output, progress, stop) {
            Err(BuildError::Format(WriteError::GroupFull)) => {
                groups = more_groups(groups, users)?;
                output.restart_section()?;
            }
            done => return done.map(|()| groups),
        }
    }
}

fn fill(
    mut places: &File,
    groups: u32,
    output: &mut Output,
    progress: &mut Progress,
    stop: &AtomicBool,
) -> Result<(), BuildError> {
    let failed = |source| BuildError::output(Path::new("scratch"), source);
    places.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut places = BufReader::with_capacity(BUFFER_BYTES, places);
    let mut next = read_place(&mut places).map_err(failed)?;
    let mut users = 0;
    for index in 0..groups {
        let mut group = Group::new();
        while let Some((key, at)) = next.filter(|(key, _)| group_of(key.hi, groups) == index) {
            group.insert(key, at)?;
            users += 1;
            next = read_place(&mut places).map_err(failed)?;
        }
        output.write(group.page())?;
        if index % GROUPS_PER_CHECK == 0 {
            check(stop)?;
            progress.tick("indexing", users, "users");
        }
    }
    debug_assert!(next.is_none(), "keys are in the order of their groups");
    Ok(())
}

/// The next user's key, and where its record is in bytes.
fn read_place(places: &mut impl Read) -> io::Result<Option<(Key, u64)>> {
    let mut bytes = [0; PLACE_BYTES];
    match places.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(number)
    };
    let key = Key { hi: number(0), lo: number(8) };
    // The upper half of the last eight bytes is the offset.
    Ok(Some((key, (number(PLACE_BYTES - 8) >> 32) * 4)))
}
