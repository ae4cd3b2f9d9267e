//! The table against a model that keeps everything in a list.

use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

#[test]
fn each_message_is_answered_once_and_what_comes_again_is_a_duplicate() {
    let mut table = Table::new(1_000 * MS);
    table.expect(7, 10, 0);
    table.expect(8, 20, 1);
    assert_eq!(table.seen(7, 5), Seen::Unmatched, "it was not due");
    assert_eq!(table.seen(7, 110), Seen::Answer(100));
    assert_eq!(table.seen(7, 120), Seen::Duplicate);
    assert_eq!(table.seen(9, 120), Seen::Unmatched);
    assert_eq!(table.open(), 1);
}

#[test]
fn messages_of_one_value_are_answered_in_their_order() {
    let mut table = Table::new(1_000 * MS);
    for (due, item) in [(10, 0), (20, 1), (1_000, 2)] {
        table.expect(7, due, item);
    }
    assert_eq!([table.seen(7, 30), table.seen(7, 30), table.seen(7, 30)], [Seen::Answer(20), Seen::Answer(10), Seen::Duplicate]);
    assert_eq!(table.seen(7, 1_001), Seen::Answer(1));
}

#[test]
fn a_message_is_lost_a_deadline_after_it_was_handed_over_not_after_its_time() {
    let mut table = Table::new(1_000 * MS);
    table.expect(7, 0, 0);
    table.expire(5_000 * MS);
    assert_eq!(table.counts().lost, 0, "the target pushed back: it was not sent yet");
    table.handed_over(1, 5_000 * MS);
    table.expire(5_999 * MS);
    assert_eq!(table.counts().lost, 0);
    table.expire(6_000 * MS);
    assert_eq!((table.counts().lost, table.open()), (1, 0));
    assert_eq!(table.seen(7, 6_001 * MS), Seen::Unmatched, "it is not remembered for ever");
}

#[test]
fn what_was_read_ahead_and_never_sent_is_not_waited_for() {
    let mut table = Table::new(1_000 * MS);
    for item in 0..10 {
        table.expect(item % 2, 0, item);
    }
    table.seen(0, 1);
    table.end(3, 2);
    assert_eq!((table.counts().expected, table.open()), (3, 2));
    assert_eq!([table.seen(0, 3), table.seen(0, 3), table.seen(1, 3)], [Seen::Answer(3), Seen::Duplicate, Seen::Answer(3)]);
}

#[test]
fn an_output_that_answered_what_was_never_sent_was_another_one_or_of_nothing() {
    let mut table = Table::new(1_000 * MS);
    // Sent: 7. Read ahead: 7 and 8.
    for (item, value) in [7, 7, 8].into_iter().enumerate() {
        table.expect(value, 0, item as u64);
    }
    assert_eq!([table.seen(7, 1), table.seen(7, 2), table.seen(8, 3)], [1, 2, 3].map(Seen::Answer));
    table.end(1, 4);
    let counts = table.counts();
    assert_eq!((counts.expected, counts.answered, counts.duplicates, counts.unmatched), (1, 1, 1, 1));
}

#[test]
fn a_full_table_gives_up_the_oldest_and_says_so() {
    let mut table = Table::with_room(1_000 * MS, 2);
    for item in 0..3 {
        table.expect(item, 0, item);
    }
    assert_eq!((table.counts().crowded_out, table.open()), (1, 2));
    assert_eq!((table.seen(0, 1), table.seen(1, 1)), (Seen::Unmatched, Seen::Answer(1)));
}

#[derive(Debug, Clone)]
enum Step {
    Expect(u64),
    Seen(u64),
    HandOver,
    Pass(u64),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u64).prop_map(Step::Expect),
        4 => (0..8u64).prop_map(Step::Seen),
        2 => Just(Step::HandOver),
        2 => (0..400 * MS).prop_map(Step::Pass),
        1 => Just(Step::End),
    ]
}

/// A message in the model's list.
struct Known {
    value: u64,
    due_ns: u64,
    answered: bool,
    gone: bool,
}

#[test]
fn what_was_intended_before_the_first_that_may_still_be_answered_is_settled() {
    let mut table = Table::new(100);
    assert_eq!(table.settled_ns(), 0);
    for number in 0..4 {
        table.expect(number, 10 * number + 5, number);
    }
    assert_eq!(table.settled_ns(), 5);
    table.seen(1, 50);
    assert_eq!(table.settled_ns(), 5, "the first is open");
    table.seen(0, 50);
    assert_eq!(table.settled_ns(), 25);
    table.handed_over(3, 60);
    table.expire(160);
    assert_eq!((table.counts().lost, table.settled_ns()), (1, 35), "what is lost is not answered any more");
    table.seen(3, 170);
    assert_eq!(table.settled_ns(), 35, "more may be planned for the same time");
    table.expect(4, 45, 4);
    assert_eq!(table.settled_ns(), 45);
    table.end(4, 180);
    assert_eq!(table.settled_ns(), 45, "what was never sent is not waited for");
}

proptest! {
    #[test]
    fn it_does_what_a_list_would(steps in prop::collection::vec(step(), 0..120)) {
        let deadline = 1_000 * MS;
        let mut table = Table::new(deadline);
        let (mut known, mut marks): (Vec<Known>, Vec<(usize, u64)>) = (Vec::new(), Vec::new());
        let (mut now, mut ended, mut handed) = (0, false, 0);
        let (mut lost, mut answers, mut duplicates, mut unmatched) = (0, 0, 0, 0);
        for step in steps {
            match step {
                Step::Expect(value) if !ended => {
                    table.expect(value, now, known.len() as u64);
                    known.push(Known { value, due_ns: now, answered: false, gone: false });
                }
                Step::Seen(value) => {
                    let found = table.seen(value, now);
                    let remembered = known.iter().any(|k| k.value == value && !k.gone && k.answered);
                    let open = known.iter_mut().find(|k| k.value == value && !k.gone && !k.answered && k.due_ns <= now);
                    let expected = match open {
                        Some(open) => {
                            open.answered = true;
                            answers += 1;
                            Seen::Answer(now - open.due_ns)
                        }
                        None if remembered => {
                            duplicates += 1;
                            Seen::Duplicate
                        }
                        None => {
                            unmatched += 1;
                            Seen::Unmatched
                        }
                    };
                    prop_assert_eq!(found, expected);
                }
                Step::HandOver if !ended && known.len() > handed && marks.last().is_none_or(|(_, at)| now >= at + MARK_NS) => {
                    handed = known.len();
                    table.handed_over(handed as u64, now);
                    marks.push((handed, now));
                }
                Step::Pass(ns) => {
                    now += ns;
                    table.expire(now);
                    for (items, _) in marks.iter().filter(|(_, at)| at + deadline <= now) {
                        for k in known[..*items].iter_mut().filter(|k| !k.gone) {
                            k.gone = true;
                            lost += u64::from(!k.answered);
                        }
                    }
                }
                Step::End if !ended => {
                    ended = true;
                    table.end(handed as u64, now);
                    let never_sent = known.split_off(handed);
                    for Known { value, .. } in never_sent.iter().filter(|k| k.answered) {
                        answers -= 1;
                        let twice = known.iter().any(|k| k.value == *value && !k.gone && k.answered);
                        *(if twice { &mut duplicates } else { &mut unmatched }) += 1;
                    }
                    marks.push((handed, now));
                }
                _ => {}
            }
            let counts = table.counts();
            prop_assert_eq!((counts.expected, counts.answered, counts.lost), (known.len() as u64, answers, lost));
            prop_assert_eq!((counts.duplicates, counts.unmatched, counts.crowded_out), (duplicates, unmatched, 0));
            prop_assert_eq!(table.open(), known.iter().filter(|k| !k.gone && !k.answered).count() as u64);
        }
    }
}
