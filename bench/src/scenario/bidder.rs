//! The bidder: POST of OpenRTB, answered with a bid, or with 204 and nothing.
//!
//! SPEC: OpenRTB 2.6, 2.1 (200 with JSON, 204 without a body) and 4.2 (what a response must have).

use super::{
    Answer, Scenario, Verdict,
    corpus::{Corpus, Filling, Full, Hole, Population},
    openrtb,
    url::Url,
};
use crate::random::Random;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use std::{
    borrow::Cow,
    fmt, fs, io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is asked when the URL has no path.
const PATH: &str = "/v1/bid/xandr";

/// How many requests are made up; each has an auction and a user of its own besides.
const MADE_UP: usize = 1024;

/// Asks for bids.
#[derive(Debug, Clone)]
pub struct Bidder {
    corpus: Arc<Corpus>,
    /// The ids of the requests, as they have to come back.
    ids: Arc<[Id]>,
}

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    /// The auction that the request's hole was filled with.
    Auction,
    /// What stood in the request.
    Text(String),
}

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// From a seed.
    MadeUp,
    /// From the `.json` files of a folder, or from the lines of a file.
    Path(&'a Path),
}

/// Why requests cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BidError {
    /// The system does not let us read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A request is no OpenRTB.
    #[error("{place}: no OpenRTB request: {source}")]
    Request {
        /// The file, and the line of it.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// There is none.
    #[error("{path} holds no request; give a folder of .json files, or a file with one to a line")]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// There are too many.
    #[error(transparent)]
    Full(#[from] Full),
}

impl Bidder {
    /// Renders requests.
    ///
    /// # Errors
    /// [`BidError`] when there are none to be had.
    pub fn render(
        url: &Url,
        source: Source<'_>,
        population: Population,
    ) -> Result<Bidder, BidError> {
        let mut rendering = Rendering { url, corpus: Corpus::new(population), ids: Vec::new() };
        match source {
            Source::MadeUp => {
                let mut random = Random::new(population.seed, 0);
                for _ in 0..MADE_UP {
                    let (body, holes) = openrtb::request(&mut random);
                    rendering.push(&body, &holes, Id::Auction)?;
                }
            }
            Source::Path(path) if path.is_dir() => rendering.push_folder(path)?,
            Source::Path(path) => rendering.push_lines(path)?,
        }
        if let (Source::Path(path), 0) = (source, rendering.ids.len()) {
            return Err(BidError::Empty { path: path.to_owned() });
        }
        Ok(Bidder { corpus: rendering.corpus.into(), ids: rendering.ids.into() })
    }

    fn is_id(&self, number: u64, id: &str) -> bool {
        match self.ids.get(self.corpus.chosen(number)) {
            Some(Id::Auction) => id.as_bytes() == self.corpus.digits(number, Filling::Auction),
            Some(Id::Text(text)) => id == text,
            None => false,
        }
    }
}

impl Scenario for Bidder {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.corpus.write(number, out);
    }

    fn check(&mut self, number: u64, answer: &Answer<'_>) -> Verdict {
        match answer.status {
            204 => return Verdict::Nothing,
            200 => {}
            _ => return Verdict::Wrong("the status is neither 200 nor 204"),
        }
        let Ok(response) = serde_json::from_slice::<Response<'_>>(answer.body) else {
            return Verdict::Wrong("the body is no OpenRTB response");
        };
        if !self.is_id(number, &response.id) {
            return Verdict::Wrong("the response has the id of another request");
        }
        if response.seatbid.unfit > 0 {
            return Verdict::Wrong("a bid has no id, no impid, or no price above zero");
        }
        Verdict::Right
    }
}

/// Requests on their way into a corpus.
struct Rendering<'a> {
    url: &'a Url,
    corpus: Corpus,
    ids: Vec<Id>,
}

/// As much of a request as is looked at.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Rendering<'_> {
    fn push(&mut self, body: &str, holes: &[Hole], id: Id) -> Result<(), Full> {
        let Url { host, path, .. } = self.url;
        let path = if path == "/" { PATH } else { path };
        let bytes = body.len();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             x-openrtb-version: 2.6\r\nContent-Length: {bytes}\r\n\r\n"
        );
        let head_bytes = request.len();
        request.push_str(body);
        let moved = |hole: &Hole| Hole { at: hole.at + head_bytes, filling: hole.filling };
        let holes: Vec<Hole> = holes.iter().map(moved).collect();
        self.corpus.push(request.as_bytes(), &holes)?;
        self.ids.push(id);
        Ok(())
    }

    fn push_text(&mut self, body: &str, place: impl FnOnce() -> String) -> Result<(), BidError> {
        let parsed = serde_json::from_str::<Request<'_>>(body);
        let request = parsed.map_err(|source| BidError::Request { place: place(), source })?;
        Ok(self.push(body, &[], Id::Text(request.id.into_owned()))?)
    }

    fn push_folder(&mut self, folder: &Path) -> Result<(), BidError> {
        let failed = |source| BidError::Read { path: folder.to_owned(), source };
        let entries = fs::read_dir(folder).map_err(failed)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>().map_err(failed)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        // The order of a folder is not the same everywhere.
        paths.sort();
        for path in paths {
            let text = read(&path)?;
            self.push_text(text.trim(), || path.display().to_string())?;
        }
        Ok(())
    }

    fn push_lines(&mut self, path: &Path) -> Result<(), BidError> {
        let text = read(path)?;
        for (at, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                self.push_text(line.trim(), || format!("{}: line {}", path.display(), at + 1))?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, BidError> {
    fs::read_to_string(path).map_err(|source| BidError::Read { path: path.to_owned(), source })
}

/// As much of a response as is looked at. Nothing is kept, so nothing is allocated for it, unless a
/// text has escapes.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Absent in a no-bid that gives a reason.
    #[serde(default)]
    seatbid: Bids<Seat>,
}

#[derive(Deserialize)]
struct Seat {
    bid: Bids<Bid>,
}

struct Bid {
    is_fit: bool,
}

impl<'de> Deserialize<'de> for Bid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bid, D::Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
            #[serde(borrow)]
            impid: Cow<'a, str>,
            price: f64,
        }
        let Fields { id, impid, price } = Fields::deserialize(deserializer)?;
        Ok(Bid { is_fit: !id.is_empty() && !impid.is_empty() && price > 0.0 })
    }
}

/// A list of which only the bids that are unfit are counted.
struct Bids<T> {
    unfit: u64,
    of: PhantomData<T>,
}

impl<T> Default for Bids<T> {
    fn default() -> Bids<T> {
        Bids { unfit: 0, of: PhantomData }
    }
}

/// What holds bids, or is one.
trait Unfit {
    fn unfit(&self) -> u64;
}

impl Unfit for Seat {
    fn unfit(&self) -> u64 {
        self.bid.unfit
    }
}

impl Unfit for Bid {
    fn unfit(&self) -> u64 {
        u64::from(!self.is_fit)
    }
}

impl<'de, T: Deserialize<'de> + Unfit> Deserialize<'de> for Bids<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bids<T>, D::Error> {
        deserializer.deserialize_seq(Bids::default())
    }
}

impl<'de, T: Deserialize<'de> + Unfit> Visitor<'de> for Bids<T> {
    type Value = Bids<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of seats or bids")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Bids<T>, A::Error> {
        while let Some(item) = list.next_element::<T>()? {
            self.unfit += item.unfit();
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parsed;

    const POPULATION: Population = Population { seed: 1, users: 1000 };

    fn bidder(source: Source<'_>) -> Result<Bidder, BidError> {
        Bidder::render(&"http://127.0.0.1:8082".parse().unwrap(), source, POPULATION)
    }

    fn verdict(bidder: &mut Bidder, number: u64, status: u16, body: &str) -> Verdict {
        bidder.check(number, &Answer { status, body: body.as_bytes(), closes: None })
    }

    #[test]
    fn made_up_requests_are_valid_posts_of_json_with_an_id_of_their_own() {
        let mut bidder = bidder(Source::MadeUp).unwrap();
        let mut ids = std::collections::HashSet::new();
        for number in 0..3 * MADE_UP as u64 {
            let mut out = Vec::new();
            bidder.request(number, &mut out);
            let request = parsed(&out);
            assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", PATH));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let id = json["id"].as_str().unwrap().to_owned();
            assert!(bidder.is_id(number, &id));
            assert!(ids.insert(id), "each auction is held once");
        }
    }

    #[test]
    fn a_bid_has_what_openrtb_asks_for_and_the_id_of_its_request() {
        let mut bidder = bidder(Source::MadeUp).unwrap();
        let id = String::from_utf8(bidder.corpus.digits(7, Filling::Auction).to_vec()).unwrap();
        let with =
            |bid: &str| format!(r#"{{"id":"{id}","seatbid":[{{"seat":"s","bid":[{bid}]}}]}}"#);
        let good = r#"{"id":"b","impid":"1","price":1.25,"adm":"<a href=\"x\">"}"#;
        for (status, body, right) in [
            (204, String::new(), true),
            (200, with(good), true),
            (200, with(&format!("{good},{good}")), true),
            (200, format!(r#"{{"id":"{id}","nbr":8}}"#), true),
            (200, with(r#"{"id":"b","impid":"1","price":0}"#), false),
            (200, with(r#"{"id":"","impid":"1","price":1}"#), false),
            (200, with(r#"{"id":"b","price":1}"#), false),
            (200, format!(r#"{{"id":"{id}9","seatbid":[]}}"#), false),
            (200, with(good).replace("]}]}", "]}]"), false),
            (200, String::new(), false),
            (400, String::new(), false),
        ] {
            let verdict = verdict(&mut bidder, 7, status, &body);
            assert_eq!(
                !matches!(verdict, Verdict::Wrong(_)),
                right,
                "{status} {body}: {verdict:?}"
            );
        }
    }

    #[test]
    fn requests_come_from_a_folder_or_from_lines_and_keep_their_ids() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.json"), "{\"id\":\"second\"}\n").unwrap();
        fs::write(folder.path().join("a.json"), r#"{"id":"first","imp":[]}"#).unwrap();
        fs::write(folder.path().join("notes.txt"), "no request").unwrap();
        let lines = folder.path().join("lines.ndjson");
        fs::write(&lines, "{\"id\":\"first\",\"imp\":[]}\n\n{\"id\":\"second\"}\n").unwrap();
        for source in [Source::Path(folder.path()), Source::Path(&lines)] {
            let mut bidder = bidder(source).unwrap();
            assert_eq!(bidder.corpus.count(), 2);
            let mut out = Vec::new();
            bidder.request(2, &mut out);
            assert_eq!(parsed(&out).body, br#"{"id":"first","imp":[]}"#);
            assert_eq!(verdict(&mut bidder, 3, 200, r#"{"id":"second"}"#), Verdict::Right);
            assert_ne!(verdict(&mut bidder, 2, 200, r#"{"id":"second"}"#), Verdict::Right);
        }
    }

    #[test]
    fn a_request_that_is_none_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let lines = folder.path().join("lines.ndjson");
        for (text, wanted) in [
            ("{\"id\":\"1\"}\n\n{\"imp\":[]}\n", "lines.ndjson: line 3: no OpenRTB request"),
            ("{\"id\":\"1\"}\n{\"id\":", "lines.ndjson: line 2: no OpenRTB request"),
            ("{\"id\":7}\n", "lines.ndjson: line 1: no OpenRTB request"),
            ("\n", "holds no request"),
        ] {
            fs::write(&lines, text).unwrap();
            let error = bidder(Source::Path(&lines)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        fs::remove_file(&lines).unwrap();
        for path in [folder.path(), &lines] {
            let error = bidder(Source::Path(path)).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
