//! OpenRTB 2.6 requests that are made up, in the shape and the sizes of real ones.
//!
//! Modelled on public descriptions: one impression in most, banner, video or native; a site or an
//! app; a device; a user with segments and ids; consent. Half of them have 1 to 2 KB. Everything
//! that looks like a person is drawn at random.

use super::{
    corpus::{DIGITS, Filling, Hole},
    macros::{AGENTS, CONSENT, SITES, device, ip},
};
use crate::random::Random;
use std::fmt::Write;

/// A request and its holes: the auction's id, which is the request's, and the user's.
pub(super) fn request(random: &mut Random) -> (String, Vec<Hole>) {
    let mut out = String::with_capacity(2048);
    let mut holes = Vec::new();
    out.push_str("{\"id\":\"");
    hole(&mut out, &mut holes, Filling::Auction);
    out.push_str("\",\"imp\":[");
    let imps = if random.below(10) < 7 { 1 } else { 1 + random.below(3) };
    for at in 0..imps {
        if at > 0 {
            out.push(',');
        }
        imp(random, at + 1, &mut out);
    }
    let is_app = random.below(10) < 4;
    if is_app {
        app(random, &mut out);
    } else {
        site(random, &mut out);
    }
    person(random, is_app, &mut out, &mut holes);
    ending(random, &mut out);
    (out, holes)
}

fn hole(out: &mut String, holes: &mut Vec<Hole>, filling: Filling) {
    holes.push(Hole { at: out.len(), filling });
    out.push_str(&"0".repeat(DIGITS));
}

// Writing into a String cannot fail, so results are dropped from here on.

fn imp(random: &mut Random, id: u64, out: &mut String) {
    let _ = write!(out, "{{\"id\":\"{id}\",");
    match random.below(10) {
        0..7 => {
            let (w, h) = *random.pick(&[&(300, 250), &(728, 90), &(320, 50), &(160, 600)]);
            let _ = write!(
                out,
                "\"banner\":{{\"format\":[{{\"w\":{w},\"h\":{h}}},{{\"w\":{h},\"h\":{w}}}],\"w\":{w},\"h\":{h},\"pos\":{},\"api\":[3,5,6],\"mimes\":[\"image/jpeg\",\"image/png\",\"text/html\"]}}",
                random.below(8)
            );
        }
        7..9 => {
            let _ = write!(
                out,
                "\"video\":{{\"mimes\":[\"video/mp4\",\"video/webm\"],\"minduration\":5,\"maxduration\":{},\"protocols\":[2,3,5,6,7,8],\"w\":640,\"h\":360,\"plcmt\":{},\"linearity\":1,\"skip\":1,\"playbackmethod\":[2,6],\"api\":[7]}}",
                15 + 15 * random.below(3),
                1 + random.below(4)
            );
        }
        _ => out.push_str(
            "\"native\":{\"ver\":\"1.2\",\"request\":\"{\\\"ver\\\":\\\"1.2\\\",\\\"assets\\\":[{\\\"id\\\":1,\\\"required\\\":1,\\\"title\\\":{\\\"len\\\":90}},{\\\"id\\\":2,\\\"img\\\":{\\\"type\\\":3,\\\"wmin\\\":600,\\\"hmin\\\":315}}]}\"}",
        ),
    }
    let _ = write!(
        out,
        ",\"displaymanager\":\"prebid.js\",\"tagid\":\"{}\",\"bidfloor\":{:.2},\"bidfloorcur\":\"USD\",\"secure\":1,\"exp\":300",
        random.below(30_000_000),
        0.05 + random.unit() * 3.0
    );
    if random.below(4) == 0 {
        let _ = write!(
            out,
            ",\"pmp\":{{\"private_auction\":0,\"deals\":[{{\"id\":\"D-{}\",\"bidfloor\":{:.2},\"at\":1,\"wseat\":[\"{}\"]}}]}}",
            random.below(100_000),
            1.0 + random.unit() * 8.0,
            random.below(5000)
        );
    }
    let _ = write!(out, ",\"ext\":{{\"gpid\":\"/1234/home#{}\"}}}}", random.below(64));
}

fn site(random: &mut Random, out: &mut String) {
    let site = random.pick(&SITES);
    let (id, publisher, article) = (random.below(900_000), random.below(16_000), random.bits());
    let _ = write!(
        out,
        "],\"site\":{{\"id\":\"{id}\",\"domain\":\"{site}\",\"cat\":[\"IAB12\",\"IAB12-{}\"],\"page\":\"https://{site}/articles/{article:x}?utm_source=newsletter\",\"ref\":\"https://{site}/\",\"publisher\":{{\"id\":\"{publisher}\",\"name\":\"Publisher {publisher}\",\"domain\":\"{site}\"}},\"mobile\":1",
        1 + random.below(3)
    );
    if random.below(2) == 0 {
        let _ = write!(
            out,
            ",\"content\":{{\"language\":\"en\",\"title\":\"Article {article:x}\",\"keywords\":\"news,weather,traffic,local,{}\",\"data\":[{{\"name\":\"context\",\"segment\":[{{\"id\":\"{}\"}},{{\"id\":\"{}\"}}]}}]}}",
            random.pick(&["sports", "politics", "cooking", "cars"]),
            random.below(1000),
            random.below(1000)
        );
    }
    out.push('}');
}

fn app(random: &mut Random, out: &mut String) {
    let (id, publisher) = (random.below(900_000), random.below(16_000));
    let _ = write!(
        out,
        "],\"app\":{{\"id\":\"{id}\",\"name\":\"App {id}\",\"bundle\":\"com.example.app{id}\",\"storeurl\":\"https://store.example.com/apps/details?id=com.example.app{id}\",\"cat\":[\"IAB9\",\"IAB9-30\"],\"ver\":\"{}.{}\",\"publisher\":{{\"id\":\"{publisher}\",\"name\":\"Publisher {publisher}\"}}}}",
        1 + random.below(9),
        random.below(40)
    );
}

fn person(random: &mut Random, is_app: bool, out: &mut String, holes: &mut Vec<Hole>) {
    let _ = write!(out, ",\"device\":{{\"ua\":\"{}\",\"ip\":\"", random.pick(&AGENTS));
    ip(random, out);
    let _ = write!(
        out,
        "\",\"devicetype\":{},\"make\":\"{}\",\"os\":\"{}\",\"language\":\"{}\",\"js\":1,\"dnt\":0,\"lmt\":0,\"connectiontype\":{},\"w\":412,\"h\":915,\"geo\":{{\"type\":2,\"country\":\"{}\",\"region\":\"{}\",\"zip\":\"{}\",\"utcoffset\":-300,\"lat\":{:.4},\"lon\":{:.4}}}",
        random.pick(&["1", "2", "4"]),
        random.pick(&["Apple", "Samsung", "Google", "Xiaomi"]),
        random.pick(&["iOS", "Android", "Windows"]),
        random.pick(&["en", "de", "fr", "pt"]),
        random.below(7),
        random.pick(&["USA", "DEU", "FRA", "BRA"]),
        random.pick(&["NY", "CA", "BE", "SP"]),
        10_000 + random.below(89_999),
        random.unit() * 50.0,
        random.unit() * 90.0 - 45.0
    );
    if is_app {
        out.push_str(",\"ifa\":\"");
        device(random, out);
        out.push('"');
    }
    out.push_str("},\"user\":{\"id\":\"");
    hole(out, holes, Filling::User);
    let _ = write!(out, "\",\"buyeruid\":\"{:016x}\"", random.bits());
    let segments = random.below(12);
    if segments > 0 {
        out.push_str(",\"data\":[{\"id\":\"1\",\"name\":\"segments\",\"segment\":[");
        for at in 0..segments {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{{\"id\":\"{}\"}}", 1_000_000 + random.below(9_000_000));
        }
        out.push_str("]}]");
    }
    if random.below(3) > 0 {
        let _ = write!(
            out,
            ",\"eids\":[{{\"source\":\"example.com\",\"uids\":[{{\"id\":\"{:016x}{:016x}\",\"atype\":1}}]}}]",
            random.bits(),
            random.bits()
        );
    }
}

fn ending(random: &mut Random, out: &mut String) {
    let gdpr = random.below(3) == 0;
    if gdpr {
        let _ = write!(out, ",\"consent\":\"{CONSENT}\"");
    }
    let _ = write!(
        out,
        "}},\"at\":1,\"tmax\":{},\"cur\":[\"USD\"],\"bcat\":[\"IAB25\",\"IAB26\",\"IAB7-39\"],\"badv\":[\"blocked.example\",\"casino.example\"],\"source\":{{\"fd\":1,\"tid\":\"{:016x}\",\"schain\":{{\"complete\":1,\"ver\":\"1.0\",\"nodes\":[{{\"asi\":\"exchange.example\",\"sid\":\"{}\",\"hp\":1}}]}}}},\"regs\":{{\"coppa\":0,\"gdpr\":{},\"us_privacy\":\"1YNN\"}}}}",
        random.pick(&["100", "120", "150", "200"]),
        random.bits(),
        random.below(16_000),
        u8::from(gdpr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_what_openrtb_requires_and_the_sizes_of_real_ones() {
        let mut random = Random::new(1, 0);
        let mut sizes = Vec::new();
        for _ in 0..1000 {
            let (body, holes) = request(&mut random);
            let json: serde_json::Value = serde_json::from_str(&body).expect(&body);
            let imps = json["imp"].as_array().unwrap();
            assert!(!imps.is_empty());
            for imp in imps {
                let kinds = ["banner", "video", "native"].map(|kind| imp.get(kind).is_some());
                assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{imp}");
                assert!(imp["bidfloor"].as_f64().unwrap() > 0.0);
            }
            assert!(json.get("site").is_some() != json.get("app").is_some());
            assert_eq!(json["user"]["id"].as_str().unwrap().len(), DIGITS);
            let fillings: Vec<Filling> = holes.iter().map(|hole| hole.filling).collect();
            assert_eq!(fillings, [Filling::Auction, Filling::User]);
            sizes.push(body.len());
        }
        sizes.sort_unstable();
        assert!((1024..2048).contains(&sizes[500]), "{}", sizes[500]);
        assert!(sizes[0] > 700 && sizes[999] < 4096, "{} to {}", sizes[0], sizes[999]);
    }
}
