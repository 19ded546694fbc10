//! What recorders see, and what is left of it once threads are merged.

use super::*;
use crate::report::decode;

const MS: u64 = 1_000_000;

fn recorder(seconds: u64) -> Recorder {
    Recorder::new(0, Duration::from_secs(seconds))
}

fn merged(recorders: Vec<Recorder>, seconds: u64) -> Merged {
    let recorded: Vec<Recorded> = recorders.into_iter().map(Recorder::finish).collect();
    Merged::of(&recorded, Duration::from_secs(seconds))
}

fn valid(merged: &Merged) -> Vec<bool> {
    merged.windows.iter().map(|window| window.valid).collect()
}

#[test]
fn windows_in_which_the_generator_was_late_do_not_count() {
    let mut recorder = recorder(2);
    for window in 0..10u64 {
        let due = window * 200 * MS;
        let lag = if window % 2 == 0 { 50_000 } else { 150_000 };
        recorder.taken_up(due, 1000);
        recorder.taken_up(due + MS, lag);
        recorder.answered(due, due, due + (window + 1) * MS);
    }
    let merged = merged(vec![recorder], 2);
    assert_eq!(valid(&merged), [true, false].repeat(5));
    assert_eq!((merged.intended.len(), merged.valid.len()), (10, 5));
    assert_eq!(merged.lag.len(), 10, "two in each valid window");
    let max = Quantiles::of(&merged.valid).max;
    assert!((8990.0..9010.0).contains(&max), "{max}");
}

#[test]
fn an_answer_belongs_to_the_window_it_was_due_in_however_late_it_comes() {
    let mut recorder = recorder(4);
    for window in 0..20u64 {
        recorder.taken_up(window * 200 * MS, 1);
        recorder.answered(window * 200 * MS, window * 200 * MS, window * 200 * MS + 30_000);
    }
    recorder.answered(5, 5, 4000 * MS);
    recorder.taken_up(3800 * MS, 1);
    let merged = merged(vec![recorder], 4);
    assert_eq!((merged.intended.len(), merged.valid.len()), (21, 21));
    assert_eq!(merged.windows[0].count, 2);
    assert!(merged.windows[0].max_us > 3_990_000.0);
    assert_eq!(merged.seconds[0].answered, 5, "one of its six requests was answered after the end");
    assert_eq!(decode(&merged.seconds[0].histogram).unwrap().len(), 6);
}

#[test]
fn a_generator_that_looks_away_while_answers_are_awaited_spoils_the_windows_it_missed() {
    let mut recorder = recorder(1);
    for window in 0..5u64 {
        recorder.taken_up(window * 200 * MS, 500);
    }
    recorder.looked_away(350 * MS, 450 * MS);
    let merged = merged(vec![recorder], 1);
    assert_eq!(valid(&merged), [true, false, false, true, true]);
    assert_eq!(merged.windows[1].lag_max_ns, 100 * MS);
}

#[test]
fn a_window_is_valid_if_it_is_for_all_threads() {
    let (mut one, mut other) = (recorder(1), recorder(1));
    for window in 0..5u64 {
        one.taken_up(window * 200 * MS, 500);
        one.answered(window * 200 * MS, 0, window * 200 * MS + MS);
        other.taken_up(window * 200 * MS, if window == 3 { 200_000 } else { 500 });
        other.answered(window * 200 * MS, 0, window * 200 * MS + 3 * MS);
    }
    let merged = merged(vec![one, other], 1);
    assert_eq!(valid(&merged), [true, true, true, false, true]);
    assert_eq!(merged.windows[0].count, 2);
    assert_eq!((merged.valid.len(), merged.intended.len()), (8, 10));
    assert_eq!(merged.seconds.len(), 1);
    assert_eq!((merged.seconds[0].due, merged.seconds[0].answered), (10, 10));
}

#[test]
fn the_warm_up_is_not_recorded() {
    let mut recorder = Recorder::new(1000 * MS, Duration::from_millis(300));
    recorder.taken_up(999 * MS, 90 * MS);
    recorder.looked_away(500 * MS, 900 * MS);
    recorder.answered(999 * MS, 999 * MS, 1200 * MS);
    recorder.taken_up(1000 * MS, 700);
    recorder.answered(1000 * MS, 1000 * MS, 1001 * MS);
    let merged = Merged::of(&[recorder.finish()], Duration::from_millis(300));
    assert_eq!((merged.intended.len(), merged.actual.len()), (1, 1));
    assert_eq!(valid(&merged), [true], "the second window has nothing due");
    assert_eq!((merged.seconds.len(), merged.seconds[0].length_ms), (1, 300));
}

#[test]
fn what_is_given_up_counts_with_the_time_until_then_and_in_every_bound_below_it() {
    let mut recorder = recorder(1);
    recorder.taken_up(0, 10);
    recorder.given_up(0, None, 150 * MS);
    recorder.taken_up(MS, 10);
    recorder.given_up(MS, Some(2 * MS), 8 * MS);
    recorder.taken_up(2 * MS, 10);
    recorder.answered(2 * MS, 2 * MS, 3 * MS);
    let merged = merged(vec![recorder], 1);
    assert_eq!((merged.intended.len(), merged.actual.len()), (3, 2));
    let late: Vec<(u64, u64)> = merged.late.iter().map(|l| (l.beyond_ms, l.count)).collect();
    assert_eq!(late, [(1, 2), (5, 2), (7, 1), (10, 1), (100, 1), (200, 0), (500, 0)]);
}
