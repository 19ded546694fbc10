//! Every rung of io_uring can be taken away, and the appliance serves all the same.

use brink_tests::appliance::{Extra, start};
use edge::ring::uring::rungs::{self, RUNGS};

#[test]
fn the_appliance_serves_without_any_one_rung_and_without_all_of_them() {
    let found = rungs::probe().expect("this kernel has io_uring; see `edge doctor`");
    let names: Vec<_> = RUNGS.iter().map(|rung| rung.name).collect();
    let mut choices: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
    choices.push(Vec::new());
    choices.push(names.clone());
    for without in choices {
        let sections = format!("[ring]\nwithout = {without:?}");
        let running = start(&Extra { sections: &sections, ..Extra::default() });
        let stands_on = *running.board().rungs.get().unwrap();
        for name in &names {
            let want = found.has(name) && !without.contains(name);
            assert_eq!(stands_on.has(name), want, "{name} without {without:?}");
        }
        let mut client = running.connect();
        client.send(
            "GET /i.gif?a HTTP/1.1\r\nHost: a\r\n\r\nGET /i.gif?b HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        assert_eq!((client.response().status, client.response().status), (200, 200));
        drop(client);
        let (ended, _) = running.stop();
        assert_eq!(ended.ledger.accepted(), 2, "without {without:?}");
    }
}
