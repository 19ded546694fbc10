//! The provider against any segment request: a second, simple reader of JSON agrees on who is asked
//! for, and on the answer. That reader makes a tree of everything and looks into it.

use super::{
    feature::reached,
    provider_world::{Answered, Call, World, policy},
};
use edge::{
    config::file::DialectWord,
    consent::{Signals, decide},
    http::head::Fields,
    roles::macros::{expanded, known},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{
    cell::RefCell,
    fmt,
    io::{Read, Write},
};

/// The body: see [`super::TARGETS`]. The first byte says how the rest is sent: 1 packed, 2 said to
/// be packed though it may be anything; 4 whether the answer may be packed.
///
/// # Panics
/// When it does not hold.
pub fn provider_json(data: &[u8]) {
    let (mode, text) = data.split_first().map_or((0, data), |(mode, text)| (*mode, text));
    let is_packed = mode & 1 == 1;
    let packed = if is_packed { pack(text) } else { text.to_vec() };
    let fields = Fields {
        body_is_gzip: mode & 3 != 0,
        accept_encoding: (mode & 4 != 0).then_some(&b"gzip"[..]),
        ..Fields::default()
    };
    let call = Call { method: "POST", query: None, fields, body: &packed };
    let answered = WORLD.with_borrow_mut(|world| world.ask(&call));
    let codes = said(&answered, fields.accept_gzip());
    let row = &answered.row;
    let told = row.answered_segments.as_deref().unwrap_or_default();
    assert_eq!(codes.join(" "), told);
    assert_eq!(codes.len(), row.segment_count as usize);
    assert_eq!(row.outcome == "segments", row.segment_count > 0);
    // What happens to be gzip already is not unpacked for the second reader.
    if is_packed || !fields.body_is_gzip {
        agree(text, &answered);
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(DialectWord::Google));
}

fn pack(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// The segments of an answer.
fn said(answered: &Answered, accepts_gzip: bool) -> Vec<String> {
    if answered.status == 204 {
        assert!(answered.body.is_empty() && !answered.head.contains("Content-"));
        return Vec::new();
    }
    assert_eq!(answered.status, 200);
    let mut text = answered.body.clone();
    if answered.head.contains("Content-Encoding: gzip") {
        assert!(accepts_gzip);
        text.clear();
        GzDecoder::new(&*answered.body).read_to_end(&mut text).expect("it is packed");
        assert!(text.len() > 1024);
    }
    let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let segments = json["segment"].as_array().expect("a list");
    let code = |s: &serde_json::Value| s["segment_id"].as_str().expect("a code").to_owned();
    segments.iter().map(code).collect()
}

/// Errors of the second reader where the first one is more tolerant.
const TOLERATED: [&str; 4] =
    ["surrogate", "number out of range", "hex escape", "invalid unicode code point"];

fn agree(text: &[u8], answered: &Answered) {
    let row = &answered.row;
    let is_call = row.outcome != "bad_request";
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let tree: Tree = match serde_json::from_slice(text) {
        Ok(tree) => tree,
        Err(error) => {
            let error = error.to_string();
            let tolerated = TOLERATED.iter().any(|part| error.contains(part));
            assert!(!is_call || tolerated, "read, though there is: {error}");
            return;
        }
    };
    let sound = matches!(tree, Tree::Members(_)) && tree.depth() <= 64;
    assert_eq!(is_call, sound, "{tree:?}");
    let blanks = text.iter().filter(|b| **b == b' ').count();
    let Some(asked) = (sound && blanks <= BLANKS_MAX).then(|| tree.asked()).flatten() else {
        return;
    };
    let decision = decide(&asked.signals(), &policy());
    let is_denied = decision.verdict.label() == Some("denied");
    let has_segments = asked.keys().iter().any(|(source, id)| match &**id {
        "7" => matches!(&**source, "xandr" | "external" | "a.b"),
        "8" => source == "xandr",
        _ => false,
    });
    let outcome = match (is_denied, has_segments) {
        (true, _) => "denied",
        (_, true) => "segments",
        _ => "unknown",
    };
    reached(("agreed", decision.reason.label()));
    assert_eq!(row.outcome, outcome, "{tree:?}");
    assert_eq!(row.consent_decision.as_deref(), decision.verdict.label(), "{tree:?}");
    let told = |told: &Option<String>, asked: Option<&str>| {
        // Texts of a row are bounded; that they are cut is another target's.
        assert!(told.as_deref() == asked || asked.is_some_and(|a| a.len() > 64), "{tree:?}");
    };
    let pairs: Vec<_> = asked.pairs.iter().map(|(s, id)| format!("{s},{id}")).collect();
    let pairs = Some(pairs.join("|")).filter(|pairs| !pairs.is_empty());
    for (row, asked) in [
        (&row.user_id, &asked.user),
        (&row.external_id, &asked.external),
        (&row.extended_ids, &pairs),
    ] {
        told(row, asked.as_deref().filter(|_| !is_denied));
    }
    told(&row.auction_id, asked.auction.as_deref());
}

/// JSON, all of it.
#[derive(Debug)]
enum Tree {
    Null,
    Bool(bool),
    Whole(String),
    /// Not a whole number, or one that is too large.
    Real,
    Text(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

/// What of it counts.
struct Asked {
    auction: Option<String>,
    user: Option<String>,
    external: Option<String>,
    pairs: Vec<(String, String)>,
    /// gdpr, TC string, GPP, its sections, US Privacy, COPPA.
    signals: [Option<String>; 6],
}

impl Asked {
    /// What is looked up, in its order.
    fn keys(&self) -> Vec<(String, String)> {
        let of = |ns: &str, id: &Option<String>| id.clone().map(|id| (ns.to_owned(), id));
        let own = [of("xandr", &self.user), of("external", &self.external)];
        own.into_iter().flatten().chain(self.pairs.iter().cloned()).collect()
    }

    fn signals(&self) -> Signals<'_> {
        let [gdpr, tc_string, gpp, gpp_sid, us_privacy, coppa] =
            self.signals.each_ref().map(|s| s.as_ref().map(String::as_bytes));
        let coppa = coppa.and_then(known).is_some();
        Signals { gdpr, tc_string, gpp, gpp_sid, us_privacy, gpc: false, coppa }
    }
}

/// BOUND: of extended ids, in pairs and in bytes, with what stands between them.
const PAIRS_MAX: usize = 8;
const PAIRS_BYTES_MAX: usize = 2048;

/// A list of sections is bounded as it is written: so many, and so many blanks, always fit.
const SECTIONS_MAX: usize = 16;
const BLANKS_MAX: usize = 32;

impl Tree {
    fn depth(&self) -> usize {
        let inner: Box<dyn Iterator<Item = &Tree>> = match self {
            Tree::List(list) => Box::new(list.iter()),
            Tree::Members(members) => Box::new(members.iter().map(|(_, tree)| tree)),
            _ => return 0,
        };
        1 + inner.map(Tree::depth).max().unwrap_or(0)
    }

    /// The first member of this name.
    fn at(&self, name: &str) -> &Tree {
        let Tree::Members(members) = self else { return &Tree::Null };
        members.iter().find(|(key, _)| key == name).map_or(&Tree::Null, |(_, tree)| tree)
    }

    fn list(&self) -> &[Tree] {
        if let Tree::List(list) = self { list } else { &[] }
    }

    fn has_real(&self) -> bool {
        match self {
            Tree::Real => true,
            Tree::List(list) => list.iter().any(Tree::has_real),
            Tree::Members(members) => members.iter().any(|(_, tree)| tree.has_real()),
            _ => false,
        }
    }

    fn id(&self) -> Option<String> {
        let (Tree::Text(text) | Tree::Whole(text)) = self else { return None };
        known(text.as_bytes()).map(|_| text.clone())
    }

    /// A signal, unless its spelling is not kept here.
    fn signal(&self) -> Option<Option<String>> {
        let text = match self {
            Tree::Null => return Some(None),
            Tree::Bool(value) => u8::from(*value).to_string(),
            // Percent-encoding is undone in signals, and that is another target's.
            Tree::Text(text) if !text.contains('%') => text.clone(),
            Tree::Whole(text) => text.clone(),
            _ => return None,
        };
        Some(expanded(text.as_bytes()).map(|_| text.clone()))
    }

    /// A list of a few whole numbers, or a signal.
    fn sections(&self) -> Option<Option<String>> {
        let Tree::List(list) = self else { return self.signal() };
        let number = |tree: &Tree| if let Tree::Whole(n) = tree { Some(n.clone()) } else { None };
        let numbers: Vec<_> = list.iter().map(number).collect::<Option<_>>()?;
        (numbers.len() <= SECTIONS_MAX).then(|| Some(format!("[{}]", numbers.join(","))))
    }

    fn signals(&self) -> Option<[Option<String>; 6]> {
        let (user, regs) = (self.at("user"), self.at("regs"));
        let (user_ext, ext) = (user.at("ext"), regs.at("ext"));
        let either = |first: Option<Option<String>>, second: Option<Option<String>>| {
            let (first, second) = (first?, second?);
            Some(first.or(second))
        };
        let in_regs = |name| either(regs.at(name).signal(), ext.at(name).signal());
        Some([
            in_regs("gdpr")?,
            either(user.at("consent").signal(), user_ext.at("consent").signal())?,
            in_regs("gpp")?,
            either(regs.at("gpp_sid").sections(), ext.at("gpp_sid").sections())?,
            in_regs("us_privacy")?,
            regs.at("coppa").signal()?,
        ])
    }

    /// What is asked, where the spelling of everything that counts is known.
    fn asked(&self) -> Option<Asked> {
        if ["segment_request_id", "user", "regs"].iter().any(|name| self.at(name).has_real()) {
            return None;
        }
        let user = self.at("user");
        let mut pairs = Vec::new();
        let mut filled = 0;
        for eid in user.at("eids").list() {
            let Some(source) = eid.at("source").id() else { continue };
            for id in eid.at("uids").list().iter().filter_map(|uid| uid.at("id").id()) {
                let end = filled + usize::from(filled > 0) + source.len() + 1 + id.len();
                if pairs.len() < PAIRS_MAX && end <= PAIRS_BYTES_MAX {
                    pairs.push((source.clone(), id));
                    filled = end;
                }
            }
        }
        Some(Asked {
            auction: self.at("segment_request_id").id(),
            user: user.at("id").id(),
            external: user.at("buyeruid").id(),
            pairs,
            signals: self.signals()?,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Whole(value.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Real)
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(tree) = access.next_element()? {
            list.push(tree);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Members(members))
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"segment_request_id":"9f6c","imp":[{"tagid":"1"},{}],"site":{"page":"p"},"user":{"id":"7",
        "buyeruid":8},"device":{"ip":"203.0.113.9","ua":"u","geo":{"country":"USA","metro":501}}}"#,
        r#"{"user":{"eids":[{"uids":[{"id":"no"},{"id":7}],"source":"a.b"},{"source":"c"}],"id":"0"},
        "app":{"bundle":"b"},"regs":{"gdpr":0,"gpp":"DBAA","gpp_sid":[7],"us_privacy":"1NNN"}}"#,
        r#"{"user":{"id":"\u0038","consent":null,"ext":{"consent":"C"}},"regs":{"coppa":false,"ext":
        {"gdpr":1,"us_privacy":"1YYN"}}}"#,
        r#"{"user":{"id":"8"},"user":{"id":"7"},"more":[[[{"a":[1,-2.5e3,true]}]],"\ud83d\ude00"]}"#,
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (text, mode) in texts.iter().zip([0, 1, 4, 5]) {
        seeds.push([&[mode], text.as_bytes()].concat());
    }
    seeds.push([&[2][..], &pack(texts[3].as_bytes())].concat());
    seeds
}

/// What is worth putting into an input.
pub const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\u0037",
    b"\\ud83d",
    b"null",
    b"true",
    b"7",
    b"-0",
    b"1e999",
    b"\"user\":{\"id\":\"7\"}",
    b"\"eids\":[{\"source\":\"a.b\",\"uids\":[{\"id\":\"7\"}]}]",
    b"\"consent\":\"",
    b"\"regs\":{\"gdpr\":1}",
    b"\"ext\":{",
    b"\"coppa\":1",
    b"[[[[[[[[",
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08",
];
