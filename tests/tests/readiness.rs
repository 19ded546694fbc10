//! An exchange is sent elsewhere while a whole appliance cannot do for it what it is there for, and
//! comes back once it can; who asks meanwhile is answered all the same.

use brink_tests::{
    appliance::eventually,
    http::Client,
    process::Serving,
    sim::random::Random,
    site::Site,
    tables::{provider, publish, sections, table},
    volume::Volume,
};
use serde_json::json;
use std::{fs, thread, time::Duration};

const TABLES: &str = "[tables]\nurl = \"file:a\"\npath = \"b\"";

/// A site that provides, with a table in which user 7 is.
fn site(listener: &str) -> Site {
    let site = Site::new(&provider(listener, TABLES));
    let wanted = sections(site.path(), "");
    let site = site.with(TABLES, &wanted);
    publish(site.path(), 1, &table(&["7"], "sports"));
    site
}

/// What `/ready` says, and why.
fn ready(serving: &Serving) -> (u16, Vec<u8>, serde_json::Value) {
    let answer = serving.connect().get("/ready");
    let why = serving.status()["listeners"][0]["unready"].clone();
    (answer.status, answer.body, why)
}

fn yes() -> (u16, Vec<u8>, serde_json::Value) {
    (200, b"1\n".to_vec(), json!([]))
}

fn no(why: &str) -> (u16, Vec<u8>, serde_json::Value) {
    (503, b"0\n".to_vec(), json!([why]))
}

fn ask(client: &mut Client, referer: &str) {
    let answer = client.get(&format!("/v1/segments/xandr?uid=7&ref={referer}"));
    assert_eq!(answer.status, 200);
    assert!([&b"\n"[..], b"sports:750\n"].contains(&&answer.body[..]));
}

#[test]
fn a_box_whose_disk_takes_nothing_is_not_ready_until_it_does() {
    let volume = Volume::mount(96);
    // Late answers are another reason, and not the one that is asked about here.
    let site = site("exchange = \"xandr\"\n[listener.provider]\nlate_percent_max = 100")
        .with_spool_at(&volume.path().join("spool"))
        .with("quota_bytes = 67108864", "quota_bytes = 1073741824");
    let serving = site.serve();
    eventually("a table is served", || ready(&serving) == yes());

    let filler = volume.fill();
    let random = Random::new(7);
    let mut client = serving.connect();
    eventually("the disk is full, and it says so", || {
        (0..100).for_each(|_| ask(&mut client, &random.letters(8000)));
        ready(&serving) == no("spool_takes_nothing")
    });
    ask(&mut client, "");

    fs::remove_file(filler).unwrap();
    eventually("there is room again, and it says so", || ready(&serving) == yes());
    assert!(serving.stop().success());
}

#[test]
fn a_box_whose_answers_are_late_is_not_ready_until_they_are_not() {
    let site = site("exchange = \"xandr\"");
    let serving = site.serve();
    eventually("a table is served", || ready(&serving) == yes());

    // Nobody is connected before the stall: whoever comes during it has waited all the same.
    serving.freeze();
    let mut client = serving.connect();
    let one = "GET /v1/segments/xandr?uid=7 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(one.repeat(200));
    // Several times the budget, after which each of these is late.
    thread::sleep(Duration::from_millis(50));
    serving.signal("CONT");
    let answers = (0..200).map(|_| client.response().body);
    let empty = answers.filter(|body| body == b"\n").count();
    assert!(empty > 190, "{empty} of 200 were late");
    eventually("it says that it is late", || ready(&serving) == no("late"));
    // Ten seconds later those are history, and what is asked meanwhile is in time.
    eventually("it says that it is in time", || {
        ask(&mut client, "");
        ready(&serving) == yes()
    });
    assert!(serving.stop().success());
}
