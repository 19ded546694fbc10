//! How a table gets to the shards, and how the one before it comes back.
//!
//! ```text
//!  TableGiver ──Arc──▶ ring ──▶ TableTaker (one per shard and listener), once a turn
//!      ▲                              │ the one before
//!      └────────────── ring ◀─────────┘
//! ```
//!
//! A shard drops nothing: it gives the old table back, and the memory is used again when all have.
//!
//! BOUND: two tables exist, so no ring ever holds more.

use super::arena::Arena;
use brink_proto::{ids::Micros, table::Table};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{io, sync::Arc};

/// Tables that exist at once: the one that is looked into, and the one that comes next.
pub const TABLES_MAX: usize = 2;

/// A segment table in an arena.
pub type SegmentTable = Table<Arena>;

/// A table in memory, and what was announced of it.
pub struct LoadedTable {
    /// The table.
    pub table: SegmentTable,
    /// Its version.
    pub version: u64,
    /// When it was published.
    pub published: Micros,
}

impl LoadedTable {
    /// A table of bytes, in an arena of its own.
    ///
    /// # Errors
    /// What is wrong with it, or that there is no memory for it.
    pub fn of_bytes(bytes: &[u8], version: u64, published: Micros) -> io::Result<LoadedTable> {
        let mut arena = Arena::map(bytes.len())?;
        arena.fill(&mut { bytes }, bytes.len())?;
        let table = Table::open(arena).map_err(io::Error::other)?;
        Ok(LoadedTable { table, version, published })
    }
}

/// The end of a shard's listener: it looks into the table that came last.
pub struct TableTaker {
    news: Consumer<Arc<LoadedTable>>,
    back: Producer<Arc<LoadedTable>>,
    current: Option<Arc<LoadedTable>>,
}

impl TableTaker {
    /// One that has a table, and that nobody gives another.
    #[must_use]
    pub fn holding(table: LoadedTable) -> TableTaker {
        let (_, news) = RingBuffer::new(TABLES_MAX);
        let (back, _) = RingBuffer::new(TABLES_MAX);
        TableTaker { news, back, current: Some(Arc::new(table)) }
    }

    /// Takes what has come, and gives the one before back.
    #[inline]
    pub fn refresh(&mut self) {
        while let Ok(new) = self.news.pop() {
            if let Some(old) = self.current.replace(new) {
                // There is room: no more tables exist than the ring has slots.
                let _ = self.back.push(old);
            }
        }
    }

    /// The table, if there is one.
    #[inline]
    #[must_use]
    pub fn current(&self) -> Option<&LoadedTable> {
        self.current.as_deref()
    }
}

/// The other end: hands tables to all takers.
pub struct TableGiver {
    takers: Vec<FarEnd>,
    current: Option<Arc<LoadedTable>>,
}

/// The giver's ends of one taker's rings.
struct FarEnd {
    news: Producer<Arc<LoadedTable>>,
    back: Consumer<Arc<LoadedTable>>,
}

impl TableGiver {
    /// A giver, and as many takers.
    #[must_use]
    pub fn new(takers: usize) -> (TableGiver, Vec<TableTaker>) {
        let pair = |_| {
            let (news_in, news) = RingBuffer::new(TABLES_MAX);
            let (back, back_out) = RingBuffer::new(TABLES_MAX);
            let far = FarEnd { news: news_in, back: back_out };
            (far, TableTaker { news, back, current: None })
        };
        let (giver, takers) = (0..takers).map(pair).unzip();
        (TableGiver { takers: giver, current: None }, takers)
    }

    /// Hands a table to all. The one before comes out of [`TableGiver::take_back`] when all have
    /// given it back.
    ///
    /// # Errors
    /// The table, if two are out already.
    pub fn give(&mut self, table: Arc<LoadedTable>) -> Result<Option<Returning>, Arc<LoadedTable>> {
        if self.takers.iter().any(|taker| taker.news.is_full()) {
            return Err(table);
        }
        for taker in &mut self.takers {
            // There is room, as was seen above.
            let _ = taker.news.push(Arc::clone(&table));
        }
        Ok(self.current.replace(table).map(Returning))
    }

    /// The memory of a table that was replaced, once nobody looks into it any more.
    ///
    /// # Errors
    /// The table, while somebody does.
    pub fn take_back(&mut self, old: Returning) -> Result<Arena, Returning> {
        for taker in &mut self.takers {
            while taker.back.pop().is_ok() {}
        }
        match Arc::try_unwrap(old.0) {
            Ok(loaded) => Ok(loaded.table.into_inner()),
            Err(still) => Err(Returning(still)),
        }
    }
}

/// A table that was replaced, on its way back.
pub struct Returning(Arc<LoadedTable>);

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::table::write;

    fn table(version: u64) -> Arc<LoadedTable> {
        let bytes = write::assemble(&[]).unwrap();
        Arc::new(LoadedTable::of_bytes(&bytes, version, Micros(0)).unwrap())
    }

    #[test]
    fn a_table_comes_back_when_all_have_taken_the_next() {
        let (mut giver, mut takers) = TableGiver::new(2);
        assert!(giver.give(table(1)).is_ok_and(|old| old.is_none()));
        takers.iter_mut().for_each(TableTaker::refresh);
        let old = giver.give(table(2)).ok().flatten().unwrap();
        takers[0].refresh();
        let old = giver.take_back(old).err().expect("one still looks into it");
        let versions = |takers: &[TableTaker]| {
            takers.iter().map(|t| t.current().unwrap().version).collect::<Vec<_>>()
        };
        assert_eq!(versions(&takers), [2, 1]);
        takers[1].refresh();
        assert!(giver.take_back(old).is_ok());
        assert_eq!(versions(&takers), [2, 2]);
    }
}
