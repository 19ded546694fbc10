//! The data provider: an exchange asks what we want to buy of a user's impression, and what we
//! pay, and has a few milliseconds to hear it.
//!
//! ```text
//!  /v1/segments/<exchange>       in the exchange's dialect; a `lookups` row
//!    xandr    GET                200, one line for each segment
//!                                nothing to say, no time to say it, no call: one line feed
//!    google   POST, JSON, gzip   200, a list of segments in JSON
//!                                nothing to say, no time to say it, no call: 204
//!  anything else                 404
//! ```
//!
//! An exchange counts what is late and what is refused, and takes the box out of rotation for it.
//! So everything is answered, in time, and the cheapest true answer is "nothing". What is no HTTP,
//! or too large, gets that too, and then a closed connection: where the next call would begin is
//! not known.
//!
//! Beside what every role has, `dialects` is how exchanges ask and want to hear, and `decision`
//! what is answered and why, which knows no dialect.

mod answers;
mod decision;
mod dialects;
mod row;
mod view;

pub use answers::Form;
pub use view::ProviderView;

use super::{Moment, Request, Role, Shown, Supplies, allowed::Allowed};
use crate::{
    config::{ListenerConfig, provider::ProviderConfig},
    consent::Verdict,
    http::answer::{Answer, Fixed},
};
use answers::Lines;
use brink_proto::{
    LookupRow,
    event::{AddressText, network},
    schema::{LOOKUPS, Schema},
};
use decision::{Decided, IDS_BYTES_MAX, IdRoom, Memory, Outcome, decide, limit::TokenBucket};
use dialects::{Reader, Writer};
use row::Told;
use std::net::IpAddr;

/// The role.
pub struct Provider;

/// What a provider remembers and works in.
pub struct ProviderState {
    allowed: Allowed,
    bucket: Option<TokenBucket>,
    room: IdRoom,
    reader: Reader,
    writer: Writer,
    lines: Lines,
    client: Option<AddressText>,
}

/// What the dialect of a listener takes of memory on one shard, beside what every listener takes.
#[must_use]
pub fn dialect_bytes(config: &ProviderConfig) -> u64 {
    dialects::memory_bytes(config) as u64
}

impl Role for Provider {
    type View = ProviderView;
    type State = ProviderState;
    type Row<'a> = LookupRow<'a>;

    const NAME: &'static str = "provider";
    const TOPICS: &'static [&'static Schema] = &[&LOOKUPS];
    const ROUTES: &'static [&'static str] = &[view::PATH];
    const OUTCOMES: &'static [&'static str] = &Outcome::LABELS;
    const SUPPLIED: bool = true;
    const LATE: Option<usize> = Some(Outcome::Late as usize);

    fn view(config: &ListenerConfig, supplies: Supplies) -> ProviderView {
        ProviderView::new(config, supplies)
    }

    fn state(view: &ProviderView) -> ProviderState {
        ProviderState {
            allowed: Allowed::new(view.policy),
            bucket: view.rate.map(TokenBucket::new),
            room: IdRoom::new([0; IDS_BYTES_MAX]),
            reader: Reader::new(view),
            writer: Writer::new(view),
            lines: Lines::default(),
            client: None,
        }
    }

    fn refusal(view: &ProviderView) -> Option<&'static Fixed> {
        Some(dialects::nothing(view.dialect))
    }

    fn refresh(view: &mut ProviderView) {
        view.refresh();
    }

    #[inline]
    fn handle<'a>(
        request: &Request<'a>,
        view: &'a ProviderView,
        state: &'a mut ProviderState,
        moment: Moment,
        answer: &mut Answer<'_>,
    ) -> super::Outcome<LookupRow<'a>> {
        let head = request.head;
        if head.path != view.path {
            return super::Outcome::NotFound;
        }
        let ProviderState { allowed, bucket, room, reader, writer, lines, client } = state;
        if let Some(bucket) = bucket {
            bucket.fill(moment.time);
        }
        let heard = reader.read(request, view);
        let asked = &heard.asked;
        let memory = Memory { allowed, bucket: bucket.as_mut(), room };
        let mut decided = decide(asked, view, memory, moment);
        if !heard.is_call {
            decided = Decided { outcome: Outcome::BadRequest, found: None, ..decided };
        }
        lines.clear();
        if let Some(found) = decided.found {
            lines.write(found.record, view.form);
        }
        writer.write(lines, head, answer);
        let denied = decided.consent.verdict == Verdict::Denied;
        let told = Told {
            time: moment.time,
            client: told_client(asked.ip, denied, client),
            segments: match lines.count() {
                0 => None,
                count => Some((lines.in_a_row(), count)),
            },
            query: head.query.filter(|_| view.keep_query),
        };
        super::Outcome::Event {
            topic: 0,
            outcome: decided.outcome as usize,
            ack: view.ack,
            // The peer is the exchange's machine, not the user's.
            peer: Shown::Whole,
            row: row::lookup(asked, &decided, told),
        }
    }
}

/// The device's address, if it is one; its network alone if the user does not allow more.
#[inline]
fn told_client<'a>(
    ip: Option<&'a [u8]>,
    denied: bool,
    room: &'a mut Option<AddressText>,
) -> Option<&'a [u8]> {
    let sent = ip?;
    let address: IpAddr = std::str::from_utf8(sent).ok()?.parse().ok()?;
    if !denied {
        return Some(sent);
    }
    Some(room.insert(AddressText::new(network(address))).as_bytes())
}

#[cfg(test)]
mod tests;
