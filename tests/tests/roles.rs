//! A role is a seam: a second one, in a file of its own, has its topic, its view and its rows.

mod echo;

use brink_tests::appliance::{Extra, rows, start_in};
use edge::roles::Roles;

#[test]
fn a_second_role_is_at_most_a_hundred_lines() {
    assert!(include_str!("echo/mod.rs").lines().count() <= 100);
}

#[test]
fn a_second_role_answers_and_its_rows_are_objects_of_its_topic() {
    let roles = Roles::standard().with::<echo::Echo>();
    let extra = Extra {
        role: Some("echo"),
        listener: "ack = { \"/echo\" = \"durable\" }",
        sections: "[[listener]]\nname = \"second\"\nrole = \"pixel\"\naddress = \"127.0.0.1:0\"\nallow = \"any\"",
        ..Extra::default()
    };
    let running = start_in(tempfile::tempdir().unwrap(), &roles, &extra);
    let mut client = running.connect();
    for n in 0..20 {
        client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{n:04}"));
        assert_eq!(client.response().body, format!("{n:04}").as_bytes());
    }
    let pixel = running.board().listening[1].1;
    assert_eq!(brink_tests::http::Client::connect(pixel).get("/i.gif").status, 200);
    let (ended, dir) = running.stop();
    assert_eq!(ended.ledger.accepted(), 21);

    let objects = dir.path().join("objects");
    assert!(objects.join("ds=echoes").is_dir() && objects.join("ds=impressions").is_dir());
    std::fs::remove_dir_all(objects.join("ds=impressions")).unwrap();
    let bodies: Vec<_> = rows(dir.path(), "body").into_iter().map(|r| r.text.unwrap()).collect();
    assert_eq!(bodies, (0..20).map(|n| format!("{n:04}")).collect::<Vec<_>>());
}
