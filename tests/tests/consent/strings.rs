//! Consent strings made at random, and an encoder that shares no line with the code under test.

use edge::consent::tcf::DISCLOSURE_SINCE_TENTHS;
use std::collections::BTreeSet;

/// A GPP string: ids and sections.
pub(super) struct Gpp(pub(super) Vec<(u16, String)>);

impl Gpp {
    pub(super) fn random(dice: &mut Dice) -> Gpp {
        let mut sections = Vec::new();
        let often = [3, 6, 12][usize::try_from(dice.below(3)).unwrap()];
        if dice.below(often) == 0 {
            sections.push((2, Tc::random(dice).text(dice)));
        }
        if dice.below(often) == 0 {
            let answers =
                [(); 3].map(|()| ['Y', 'N', '-'][usize::try_from(dice.below(3)).unwrap()]);
            sections.push((6, format!("1{}", answers.iter().collect::<String>())));
        }
        for section in &SECTIONS {
            let is_new = sections.last().is_none_or(|last: &(u16, String)| last.0 != section.0);
            if is_new && dice.below(often) == 0 {
                sections.push((section.0, random_us(dice, section)));
            }
        }
        Gpp(sections)
    }

    /// First and last ids of the items of the header, as ranges wherever there can be one.
    fn items(&self) -> Vec<(u16, u16)> {
        let mut items: Vec<(u16, u16)> = Vec::new();
        for (id, _) in &self.0 {
            match items.last_mut() {
                Some(last) if last.1 + 1 == *id => last.1 = *id,
                _ => items.push((*id, *id)),
            }
        }
        items
    }

    /// See the head of the tests: the items between the first and the last are ranges.
    pub(super) fn is_read_by_iab_gpp(&self) -> bool {
        let items = self.items();
        let between = items.iter().skip(1).rev().skip(1);
        between.into_iter().all(|(from, to)| from != to) && self.0.iter().all(|(id, _)| *id < 24)
    }

    pub(super) fn text(&self) -> String {
        let mut header = Writer::default();
        header.put(3, 6);
        header.put(1, 6);
        let items = self.items();
        header.put(items.len() as u64, 12);
        let mut before = 0;
        for (from, to) in items {
            header.put(u64::from(from != to), 1);
            header.put_fibonacci(from - before);
            if from != to {
                header.put_fibonacci(to - from);
            }
            before = to;
        }
        self.0.iter().fold(header.text(), |text, (_, section)| format!("{text}~{section}"))
    }
}

/// See [`SECTIONS`].
pub(super) type UsSection = (u16, u64, &'static str, char);

/// The sections of the United States: id, version, and a letter for each value of two bits: `S`ale,
/// s`H`aring, `T`argeted advertising, `m` for a transaction that is covered or not, and `.` for
/// another. What follows: `g` a sub-section with GPC, `s` one with sensitive data, or nothing.
pub(super) const SECTIONS: [UsSection; 22] = [
    (7, 1, "......SHT...............m..", 'g'),
    (7, 2, "......SHT....................m..", 'g'),
    (8, 1, "...SH............m..", 'g'),
    (9, 1, "...ST.........m..", ' '),
    (10, 1, "...ST........m..", 'g'),
    (11, 1, "....ST.........m..", ' '),
    (12, 1, "...ST...........m..", 'g'),
    (13, 1, "...ST............m..", ' '),
    (14, 1, "...ST............m..", 'g'),
    (15, 1, "...ST...............m..", 'g'),
    (16, 1, "...ST..........m..", 'g'),
    (17, 1, "...ST...............m..", 'g'),
    (18, 1, "....ST.........m..", 'g'),
    (19, 1, "...ST..........m..", 'g'),
    (20, 1, "...ST............m..", 'g'),
    (21, 1, "...ST................m..", 'g'),
    (22, 1, "...ST..........m..", 'g'),
    (23, 1, "...ST..........m..", 'g'),
    (24, 1, "m....ST.", 'g'),
    (25, 1, "m....ST..", 's'),
    (26, 1, "m....ST..", 's'),
    (27, 1, "m....ST..", 's'),
];

fn random_us(dice: &mut Dice, section: &UsSection) -> String {
    let (_, version, fields, follows) = section;
    let quiet = dice.below(2) == 0;
    let mut core = Writer::default();
    core.put(*version, 6);
    for field in fields.chars() {
        let value = match field {
            'm' => 1 + dice.below(2),
            // Half of the sections hold no opt-out, or nearly all would deny.
            'S' | 'H' | 'T' if quiet => 2 * dice.below(2),
            _ => dice.below(3),
        };
        core.put(value, 2);
    }
    let mut more = Writer::default();
    match follows {
        'g' if dice.below(2) == 0 => {
            more.put(1, 2);
            more.put(u64::from(!quiet && dice.below(2) == 0), 1);
        }
        's' if dice.below(2) == 0 => (0..8).for_each(|_| more.put(dice.below(3), 2)),
        _ => return core.text(),
    }
    format!("{}.{}", core.text(), more.text())
}

/// A TC string.
pub(super) struct Tc {
    created: u64,
    updated: u64,
    policy: u64,
    purposes: [u64; 2],
    pub(super) consent: BTreeSet<u16>,
    interest: BTreeSet<u16>,
    /// Purpose, type, vendors.
    pub(super) restrictions: Vec<(u64, u64, BTreeSet<u16>)>,
    pub(super) disclosed: Option<BTreeSet<u16>>,
    allowed: Option<BTreeSet<u16>>,
    has_publisher: bool,
}

impl Tc {
    /// Half of them are likely to consent, or nearly all would deny.
    pub(super) fn random(dice: &mut Dice) -> Tc {
        let giving = dice.below(2) == 0;
        let around = DISCLOSURE_SINCE_TENTHS - 1_000_000;
        let created = if giving { around + dice.below(2_000_000) } else { dice.below(1 << 36) };
        let given = if giving { 0b1011 << 20 } else { 0 };
        let restriction = |dice: &mut Dice| {
            let purpose = dice.below(if giving { 12 } else { 25 });
            (purpose, dice.below(4), random_set(dice, false))
        };
        let count = dice.below(5).saturating_sub(2);
        Tc {
            created,
            updated: dice.below(1 << 36),
            policy: if giving { 4 + dice.below(2) } else { dice.below(64) },
            purposes: [dice.below(1 << 24) | given, dice.below(1 << 24)],
            consent: random_set(dice, giving),
            interest: random_set(dice, false),
            restrictions: (0..count).map(|_| restriction(dice)).collect(),
            disclosed: (dice.below(3) != 0).then(|| random_set(dice, giving)),
            allowed: (dice.below(6) == 0).then(|| random_set(dice, false)),
            has_publisher: dice.below(3) == 0,
        }
    }

    pub(super) fn text(&self, dice: &mut Dice) -> String {
        let mut core = Writer::default();
        for (value, width) in [(2, 6), (self.created, 36), (self.updated, 36)] {
            core.put(value, width);
        }
        // The platform and its version, the screen, a language, and the vendor list.
        for (below, width) in [(4096, 12), (4096, 12), (64, 6), (26, 6), (26, 6), (4096, 12)] {
            core.put(dice.below(below), width);
        }
        core.put(self.policy, 6);
        core.put(dice.below(1 << 14), 14);
        self.purposes.iter().for_each(|purposes| core.put(*purposes, 24));
        for (below, width) in [(2, 1), (26, 6), (26, 6)] {
            core.put(dice.below(below), width);
        }
        core.put_set(&self.consent, dice);
        core.put_set(&self.interest, dice);
        core.put(self.restrictions.len() as u64, 12);
        for (purpose, kind, vendors) in &self.restrictions {
            core.put(*purpose, 6);
            core.put(*kind, 2);
            core.put_entries(vendors, dice);
        }
        let mut segments = Vec::new();
        for (kind, set) in [(1, &self.disclosed), (2, &self.allowed)] {
            if let Some(set) = set {
                let mut segment = Writer::default();
                segment.put(kind, 3);
                segment.put_set(set, dice);
                segments.push(segment.text());
            }
        }
        if self.has_publisher {
            let mut segment = Writer::default();
            segment.put(3, 3);
            segment.put(dice.below(1 << 48), 48);
            segment.put(0, 6);
            segments.push(segment.text());
        }
        if dice.below(2) == 0 {
            segments.reverse();
        }
        segments.into_iter().fold(core.text(), |text, segment| format!("{text}.{segment}"))
    }
}

/// Vendors: single ones, and now and then a run of them.
fn random_set(dice: &mut Dice, with_42: bool) -> BTreeSet<u16> {
    let mut set = BTreeSet::new();
    let last = [1, 50, 300, 800][usize::try_from(dice.below(4)).unwrap()];
    for _ in 0..dice.below(12) {
        let from = 1 + dice.below(last);
        let run = if dice.below(3) == 0 { dice.below(40) } else { 0 };
        set.extend((from..=from + run).map(|id| u16::try_from(id).unwrap()));
    }
    if with_42 {
        set.insert(42);
    }
    set
}

/// Bits as text.
#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(&mut self, value: u64, width: u32) {
        self.0.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// A vendor section, a bit for each or as ranges.
    fn put_set(&mut self, set: &BTreeSet<u16>, dice: &mut Dice) {
        let last = set.last().copied().unwrap_or(0);
        self.put(last.into(), 16);
        if dice.below(2) == 0 {
            self.put(1, 1);
            return self.put_entries(set, dice);
        }
        self.put(0, 1);
        (1..=last).for_each(|id| self.put(set.contains(&id).into(), 1));
    }

    /// Entries in any order, some of them single ones where there could be a range.
    fn put_entries(&mut self, set: &BTreeSet<u16>, dice: &mut Dice) {
        let mut entries: Vec<(u16, u16)> = Vec::new();
        for id in set {
            match entries.last_mut() {
                Some(last) if last.1 + 1 == *id && dice.below(20) != 0 => last.1 = *id,
                _ => entries.push((*id, *id)),
            }
        }
        if dice.below(3) == 0 {
            entries.reverse();
        }
        self.put(entries.len() as u64, 12);
        for (from, to) in entries {
            let is_range = from != to || dice.below(10) == 0;
            self.put(is_range.into(), 1);
            self.put(from.into(), 16);
            if is_range {
                self.put(to.into(), 16);
            }
        }
    }

    /// Fibonacci coding, by the greedy rule: the largest number that fits, first.
    fn put_fibonacci(&mut self, number: u16) {
        let mut numbers = vec![1_u32, 2];
        while numbers[numbers.len() - 1] <= u32::from(number) {
            numbers.push(numbers[numbers.len() - 1] + numbers[numbers.len() - 2]);
        }
        let mut rest = u32::from(number);
        let mut digits = vec![false; numbers.len()];
        for at in (0..numbers.len()).rev().filter(|at| numbers[*at] <= u32::from(number)) {
            if numbers[at] <= rest {
                rest -= numbers[at];
                digits[at] = true;
            }
        }
        let length = digits.iter().rposition(|digit| *digit).unwrap() + 1;
        self.0.extend(&digits[..length]);
        self.0.push(true);
    }

    /// Filled up to a byte, as `lib_tcstring` insists, and then to a character.
    fn text(mut self) -> String {
        self.0.resize(self.0.len().div_ceil(8) * 8, false);
        self.0.resize(self.0.len().div_ceil(6) * 6, false);
        let value = |bits: &[bool]| bits.iter().fold(0, |all, bit| all << 1 | usize::from(*bit));
        self.0.chunks(6).map(|bits| char::from(ALPHABET[value(bits)])).collect()
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The bits of a text, one number each.
pub(super) fn unwritten(text: &str) -> Vec<u64> {
    let value = |c: u8| ALPHABET.iter().position(|a| *a == c).unwrap() as u64;
    text.bytes().flat_map(|c| (0..6).rev().map(move |bit| value(c) >> bit & 1)).collect()
}

/// Numbers that are the same in every run: SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}
