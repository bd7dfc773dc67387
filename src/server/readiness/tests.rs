//! Tests of `readiness`.

use super::*;

const GOOD: Seen = Seen {
    open_for: Duration::from_secs(1),
    lag: Some(Duration::from_millis(500)),
    grace: Duration::from_secs(35),
    keys_held: 256,
    audit_writable: true,
    audit_refuses: false,
};

fn parts_awaited(judge: &mut Judge, seen: Seen) -> Vec<String> {
    let awaited = judge.awaited(&seen);
    awaited
        .iter()
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

#[test]
fn each_part_is_awaited_before_the_first_time() {
    let rows: [(Seen, &[&str]); 9] = [
        (GOOD, &[]),
        (Seen { lag: None, ..GOOD }, &["database"]),
        (
            Seen {
                lag: Some(Duration::from_millis(3001)),
                ..GOOD
            },
            &["database"],
        ),
        (
            Seen {
                audit_writable: false,
                ..GOOD
            },
            &["audit"],
        ),
        (
            Seen {
                audit_refuses: true,
                ..GOOD
            },
            &["audit"],
        ),
        (
            Seen {
                keys_held: 255,
                ..GOOD
            },
            &["keyring"],
        ),
        (
            Seen {
                keys_held: 253,
                open_for: ALL_KEYS,
                ..GOOD
            },
            &["keyring"],
        ),
        (
            Seen {
                keys_held: 254,
                open_for: ALL_KEYS,
                ..GOOD
            },
            &[],
        ),
        (
            Seen {
                keys_held: 0,
                lag: None,
                audit_writable: false,
                ..GOOD
            },
            &["database", "audit", "keyring"],
        ),
    ];
    for (at, (seen, awaited)) in rows.into_iter().enumerate() {
        assert_eq!(
            parts_awaited(&mut Judge::default(), seen),
            awaited,
            "row {at}"
        );
    }
}

#[test]
fn what_was_good_once_is_lost_for_these_reasons_only() {
    let rows: [(Seen, &[&str]); 6] = [
        (
            Seen {
                keys_held: 0,
                ..GOOD
            },
            &[],
        ),
        (
            Seen {
                audit_writable: false,
                ..GOOD
            },
            &[],
        ),
        (
            Seen {
                audit_writable: false,
                audit_refuses: true,
                ..GOOD
            },
            &["audit"],
        ),
        (
            Seen {
                lag: Some(GOOD.grace),
                ..GOOD
            },
            &[],
        ),
        (
            Seen {
                lag: Some(GOOD.grace + Duration::from_millis(1)),
                ..GOOD
            },
            &["database"],
        ),
        (
            Seen {
                lag: Some(GOOD.grace),
                audit_refuses: true,
                ..GOOD
            },
            &["audit"],
        ),
    ];
    for (at, (seen, awaited)) in rows.into_iter().enumerate() {
        let mut judge = Judge::default();
        assert!(judge.awaited(&GOOD).is_empty());
        assert_eq!(parts_awaited(&mut judge, seen), awaited, "row {at}");
        assert!(judge.awaited(&GOOD).is_empty(), "row {at}: well again");
    }
}

#[test]
fn a_database_whose_grace_was_over_must_answer_before_it_counts_again() {
    let mut judge = Judge::default();
    judge.awaited(&GOOD);
    let lag = |seconds| Seen {
        lag: Some(Duration::from_secs(seconds)),
        ..GOOD
    };
    assert_eq!(parts_awaited(&mut judge, lag(36)), ["database"]);
    assert_eq!(parts_awaited(&mut judge, lag(4)), ["database"]);
    assert!(judge.awaited(&lag(1)).is_empty());
    assert!(judge.awaited(&lag(35)).is_empty());
}
