//! One object of SOURCE and what TARGET has under its key.

use super::{Closely, Fault, Missing, Sides, SyncError, Wish};
use crate::objects::{
    footer::ObjectFooter,
    key::ObjectName,
    store::{Put, PutError, Same, Store},
};
use bytes::Bytes;
use std::sync::Arc;

/// BOUND: bytes of one object; the largest that can be configured has as many before it is packed.
const BYTES_MAX: u64 = 1 << 30;

/// What an object is, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows: so many.
    Object(u64),
    /// A manifest: JSON, compared by what it says.
    Manifest,
    /// Something that no appliance makes.
    Foreign,
}

impl Kind {
    /// Nothing, for what Hive and Spark pass over as well.
    pub(super) fn of(key: &str) -> Option<Kind> {
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.starts_with(['_', '.']) {
            return None;
        }
        if key.starts_with("_manifests/") && name.ends_with(".json") {
            return Some(Kind::Manifest);
        }
        let name = ObjectName::read_wherever(key);
        Some(name.map_or(Kind::Foreign, |name| Kind::Object(name.rows())))
    }
}

/// One key, on both sides.
pub(super) struct Pair {
    pub(super) sides: Arc<Sides>,
    pub(super) key: String,
    pub(super) kind: Kind,
    /// Whether TARGET has listed it.
    pub(super) is_there: bool,
    pub(super) wish: Wish,
}

/// What came of a pair.
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// Bytes that were copied, if it was.
    pub(super) copied_bytes: Option<u64>,
    /// Its rows, once it is proved; nothing, if it is missing.
    pub(super) found: Result<Option<u64>, Fault>,
}

impl Pair {
    /// Copies it if it is missing, and holds both against each other.
    pub(super) async fn take(&self) -> Result<Outcome, SyncError> {
        let mut outcome = Outcome { kind: self.kind, copied_bytes: None, found: Ok(None) };
        if self.kind == Kind::Foreign {
            outcome.found = Err(Fault::Foreign { key: self.key.clone() });
            return Ok(outcome);
        }
        if !self.is_there {
            if self.wish.missing == Missing::Counted {
                return Ok(outcome);
            }
            match self.copy().await? {
                Ok((Put::Created, bytes)) => outcome.copied_bytes = Some(bytes),
                // An earlier try of ours, or somebody who was faster.
                Ok((Put::WasOurs | Put::Conflict, _)) => {}
                Err(fault) => {
                    outcome.found = Err(fault);
                    return Ok(outcome);
                }
            }
        }
        outcome.found = self.compare().await?.map(Some);
        Ok(outcome)
    }

    async fn copy(&self) -> Result<Result<(Put, u64), Fault>, SyncError> {
        let source = &self.sides.source;
        let Some(bytes) = self.read_whole(source).await.map_err(SyncError::Source)? else {
            return Ok(Err(self.broken(GONE)));
        };
        let size = bytes.len() as u64;
        let put = match self.kind {
            Kind::Object(rows) => {
                let footer = ObjectFooter::of(&bytes);
                if let Some(text) = wrong(&footer, rows) {
                    return Ok(Err(self.broken(&text)));
                }
                let same = Same::LogDigest(&footer.digest);
                self.sides.target.create(&self.key, bytes, same).await
            }
            Kind::Manifest | Kind::Foreign => {
                self.sides.target.create(&self.key, bytes, Same::Bytes).await
            }
        };
        put.map(|put| Ok((put, size))).map_err(SyncError::Target)
    }

    /// Holds what both sides have against each other; its rows, if it is the same.
    async fn compare(&self) -> Result<Result<u64, Fault>, SyncError> {
        let rows = match self.kind {
            Kind::Object(rows) => match self.compare_footers(rows).await? {
                Ok(()) => rows,
                Err(fault) => return Ok(Err(fault)),
            },
            Kind::Manifest | Kind::Foreign => 0,
        };
        if self.kind != Kind::Manifest && self.wish.closely == Closely::Footers {
            return Ok(Ok(rows));
        }
        let ours = self.read_whole(&self.sides.source).await.map_err(SyncError::Source)?;
        let theirs = self.read_whole(&self.sides.target).await.map_err(SyncError::Target)?;
        Ok(match (ours, theirs) {
            (None, _) => Err(self.broken(GONE)),
            (_, None) => Err(self.differs(GONE)),
            (Some(ours), Some(theirs)) => match first_difference(&ours, &theirs) {
                None => Ok(rows),
                Some(at) => Err(self.differs(&format!("it is another one from byte {at} on"))),
            },
        })
    }

    async fn compare_footers(&self, rows: u64) -> Result<Result<(), Fault>, SyncError> {
        let ours = self.sides.source.footer_of(&self.key).await.map_err(SyncError::Source)?;
        let Some(ours) = ours else { return Ok(Err(self.broken(GONE))) };
        if let Some(text) = wrong(&ours, rows) {
            return Ok(Err(self.broken(&text)));
        }
        let theirs = self.sides.target.footer_of(&self.key).await.map_err(SyncError::Target)?;
        let Some(theirs) = theirs else { return Ok(Err(self.differs(GONE))) };
        let text = if let Some(text) = wrong(&theirs, rows) {
            text
        } else if theirs.digest != ours.digest {
            format!("its log digest is {}, and that of SOURCE's {}", theirs.digest, ours.digest)
        } else if theirs.bytes != ours.bytes {
            format!("it has {} bytes, and SOURCE's {}", theirs.bytes, ours.bytes)
        } else {
            return Ok(Ok(()));
        };
        Ok(Err(self.differs(&text)))
    }

    /// All of it; nothing when it is gone.
    async fn read_whole(&self, store: &Store) -> Result<Option<Bytes>, PutError> {
        match store.read(&self.key, BYTES_MAX).await? {
            Some(None) => {
                let key = &self.key;
                Err(PutError::Refused(format!("{key} has more than {BYTES_MAX} bytes")))
            }
            found => Ok(found.flatten()),
        }
    }

    fn broken(&self, text: &str) -> Fault {
        Fault::Broken { key: self.key.clone(), text: text.to_owned() }
    }

    fn differs(&self, text: &str) -> Fault {
        Fault::Differs { key: self.key.clone(), text: text.to_owned() }
    }
}

const GONE: &str = "it was listed and is not there any more";

/// What is wrong with an object by itself.
fn wrong(footer: &ObjectFooter, rows: u64) -> Option<String> {
    if footer.digest.is_empty() {
        return Some("it is no Parquet of ours: there is no log digest in its footer".to_owned());
    }
    let found = footer.rows;
    (found != rows).then(|| format!("it has {found} rows, and its name says {rows}"))
}

fn first_difference(one: &Bytes, other: &Bytes) -> Option<usize> {
    let common = one.len().min(other.len());
    let at = one.iter().zip(other).position(|(a, b)| a != b);
    at.or((one.len() != other.len()).then_some(common))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_its_object_is() {
        let object = "ds=t/dt=2026-11-23/hour=07/a-00000000000000000009-00000-\
                      00000000000000000000-00000000000000000006.v1.parquet";
        for (key, want) in [
            (object, Some(Kind::Object(7))),
            (&format!("_conflict/00ff/{object}"), Some(Kind::Object(7))),
            ("_manifests/ds=t/dt=2026-11-23/hour=07/a-9-0.json", Some(Kind::Manifest)),
            ("_manifests/ds=t/notes.txt", Some(Kind::Foreign)),
            ("ds=t/dt=2026-11-23/hour=07/part-00000.parquet", Some(Kind::Foreign)),
            ("ds=t/dt=2026-11-23/hour=08/x", Some(Kind::Foreign)),
            ("ds=t/dt=2026-11-23/hour=07/_SUCCESS", None),
            ("ds=t/dt=2026-11-23/hour=07/.hidden", None),
        ] {
            assert_eq!(Kind::of(key), want, "{key}");
        }
    }

    #[test]
    fn the_first_byte_that_differs_is_found() {
        let first = |one: &'static str, other: &'static str| {
            first_difference(&Bytes::from_static(one.as_bytes()), &other.into())
        };
        assert_eq!((first("", ""), first("ab", "ab")), (None, None));
        assert_eq!(
            (first("ab", "ac"), first("ab", "abc"), first("b", "a")),
            (Some(1), Some(2), Some(0))
        );
    }
}
