//! What a user allows, for every role: signals as they were sent, decided upon as they were meant.

use super::{macros::decoded, parameters::Values};
use crate::consent::{Decider, Decision, Policy, Signals};

/// Decides for one listener of one shard.
pub struct Allowed {
    decider: Decider,
    /// What is decided when there is no signal, as with nearly every pixel.
    without_signal: Decision,
    rooms: [Box<[u8; STRING_BYTES_MAX]>; 4],
}

/// BOUND: combinations of strings whose decision is remembered, 128 KiB of them.
const REMEMBERED: usize = 4096;

/// BOUND: longest string once decoded. A longer one cannot be read, and so it allows nothing.
const STRING_BYTES_MAX: usize = 8192;

/// Stands for a string that is too long to be decoded: it is none of any kind.
const TOO_LONG: &[u8] = b"!";

impl Allowed {
    /// Under a policy.
    #[must_use]
    pub fn new(policy: Policy) -> Allowed {
        let rooms = [(); 4].map(|()| Box::new([0; STRING_BYTES_MAX]));
        let decider = Decider::new(policy, REMEMBERED);
        let without_signal = decider.decide(&Signals::default());
        Allowed { decider, without_signal, rooms }
    }

    /// What a query and the header Sec-GPC allow.
    #[inline]
    pub fn decide_query(&mut self, values: &Values<'_>, gpc: bool) -> Decision {
        if !gpc && !values.say_of_consent() {
            return self.without_signal;
        }
        self.decide(&values.signals(gpc))
    }

    /// What signals allow that may be percent-encoded.
    pub fn decide(&mut self, signals: &Signals<'_>) -> Decision {
        let [tc, gpp, sid, us] = &mut self.rooms;
        self.decider.decide(&Signals {
            tc_string: signals.tc_string.map(|v| decoded(v, &mut **tc).unwrap_or(TOO_LONG)),
            gpp: signals.gpp.map(|v| decoded(v, &mut **gpp).unwrap_or(TOO_LONG)),
            gpp_sid: signals.gpp_sid.map(|v| decoded(v, &mut **sid).unwrap_or(TOO_LONG)),
            us_privacy: signals.us_privacy.map(|v| decoded(v, &mut **us).unwrap_or(TOO_LONG)),
            ..*signals
        })
    }
}
