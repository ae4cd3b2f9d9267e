use super::*;
use proptest::prelude::*;

fn profile(text: &str) -> Profile {
    Profile::parse(text).expect(text)
}

/// The cumulative count times [`MESSAGE`] at `t`, slowly: piece by piece, as a fraction over `len_ns`.
fn count_at(profile: &Profile, t: u64) -> f64 {
    let mut area = 0.0;
    for stretch in &profile.stretches {
        let mut at = stretch.at_ns;
        'stretch: while at < t && at < profile.len_ns {
            for piece in &stretch.pieces {
                let gone = t.saturating_sub(at).min(piece.len_ns) as f64;
                let (from, to) = (piece.from as f64, piece.to as f64);
                area += gone * 2.0 * from + (to - from) * gone * gone / piece.len_ns as f64;
                at += piece.len_ns;
            }
            let next = profile.stretches.iter().map(|s| s.at_ns).find(|start| *start > stretch.at_ns);
            if next.is_some_and(|next| at >= next) {
                break 'stretch;
            }
        }
    }
    area / MESSAGE as f64
}

#[test]
fn a_hold_is_a_steady_rate() {
    let hold = profile("hold 3/s 2s");
    let due: Vec<Option<u64>> = (0..7).map(|i| hold.due_ns(i)).collect();
    let third = 1_000_000_000 / 3;
    assert_eq!(due[..4], [Some(0), Some(third), Some(2 * third), Some(1_000_000_000)]);
    assert_eq!((due[5], due[6], hold.messages(), hold.len_ns()), (Some(1_666_666_666), None, 6, 2_000_000_000));
}

#[test]
fn a_ramp_is_quadratic() {
    // 0 to 10/s in 10 s: i = t² / 2, with t in seconds.
    let ramp = profile("ramp 0/s..10/s 10s");
    assert_eq!(ramp.messages(), 50);
    assert_eq!([0, 2, 8, 18, 32].map(|i| ramp.due_ns(i)), [0, 2, 4, 6, 8].map(|s| Some(s * 1_000_000_000)));
    // And down again: the same, mirrored.
    let down = profile("ramp 10/s..0/s 10s");
    assert_eq!(down.due_ns(50 - 32).map(|ns| ns / 1_000_000), Some(2_000));
}

#[test]
fn nothing_is_sent_in_a_pause_and_parts_have_their_messages() {
    let paused = profile("hold 10/s 1s, hold 0/s 5s, hold 10/s 1s");
    assert_eq!(paused.due_ns(9), Some(900_000_000));
    assert_eq!(paused.due_ns(10), Some(6_000_000_000));
    assert_eq!((paused.messages(), paused.count_until(3_000_000_000)), (20, 10));
}

#[test]
fn the_issue_s_own_profile_has_its_messages() {
    let it = profile("ramp 1k/s..50k/s 10m, hold 30m, spike x5 30s");
    assert_eq!(it.messages(), 600 * 51_000 / 2 + 1_800 * 50_000 + 30 * 250_000);
    assert_eq!((it.len_ns(), it.peak_per_s()), (2_430_000_000_000, 250_000.0));
    // The first message of each part is due when it begins.
    assert_eq!(it.due_ns(15_300_000), Some(600_000_000_000));
    assert_eq!(it.due_ns(105_300_000), Some(2_400_000_000_000));
    assert_eq!(it.due_ns(it.messages()), None);
}

#[test]
fn stairs_waves_and_dips_come_to_what_they_say() {
    let stairs = profile("step 1k/s..5k/s x5 10s");
    assert_eq!(stairs.messages(), 2 * (1_000 + 2_000 + 3_000 + 4_000 + 5_000));
    assert_eq!(stairs.count_until(4_000_000_000), 6_000);
    // A wave's mean is the middle, in every period; a quarter of it is at the middle rate.
    let wave = profile("sine 1k/s..5k/s 24h every 1m, hold 1s");
    assert_eq!(wave.count_until(60_000_000_000), 180_000);
    assert_eq!(wave.messages(), 3_000 * 86_400 + 1_000);
    let true_quarter = 3_000.0 * 15.0 - 2_000.0 * 60.0 / std::f64::consts::TAU;
    assert!((wave.count_until(15_000_000_000) as f64 - true_quarter).abs() < 20.0, "{}", wave.count_until(15_000_000_000));
    let dip = profile("hold 100/s 1s, spike x0.5 1s, hold 1s");
    assert_eq!((dip.count_until(2_000_000_000), dip.messages()), (150, 250));
    assert_eq!(profile("hold 5/s 1s,ramp 7/s 1s").messages(), 5 + 6);
}

#[test]
fn the_largest_curves_are_exact_and_more_is_an_error() {
    // 1G/s for 584 years does fit; nothing overflows on the way.
    let longest = profile("ramp 0/s..1G/s 584years");
    assert!(longest.due_ns(longest.messages() - 1).is_some_and(|due| due < longest.len_ns()));
    let error = Profile::parse("hold 1/s 584years, hold 584years").expect_err("too long").to_string();
    assert!(error.contains("584 years") && error.contains("column 25"), "{error}");
    let error = Profile::parse("hold 1G/s 584years, spike x1 584y").expect_err("too much").to_string();
    assert!(error.contains("column 30"), "{error}");
}

#[test]
fn errors_point_at_the_column() {
    for (text, column, said) in [
        ("", 1, "expected a part"),
        ("hold 5/s 1s, ", 13, "expected a part"),
        ("rampe 1/s..2/s 1s", 1, "\"rampe\""),
        ("hold 1s", 6, "no rate so far"),
        ("spike x5 1s", 1, "no rate so far"),
        ("ramp 5/s 1s", 6, "no rate so far"),
        ("ramp 1k/s..50k 10m", 12, "\"50k\""),
        ("ramp 1k..50k/s 10m", 6, "\"1k\""),
        ("ramp 1k/s..50k/s", 17, "missing"),
        ("ramp 1k/s..50k/s ten", 18, "\"ten\""),
        ("hold 5/s 0s", 10, "\"0s\""),
        ("hold 5/s 1s 2s", 13, "too much"),
        ("hold 5/s 1s, spike 5 1s", 20, "\"5\""),
        ("hold 5/s 1s, spike x0 1s", 20, "\"x0\""),
        ("hold 1G/s 1s, spike x2 1s", 21, "1G/s"),
        ("hold 2G/s 1s", 6, "1G/s"),
        ("hold 99999999999999999999/s 1s", 6, "1G/s"),
        ("hold 0.0000001/s 1s", 6, "millionth"),
        ("step 1/s..5/s x1 1s", 15, "stairs"),
        ("step 1/s 1s", 6, "two rates"),
        ("sine 1/s..5/s 10s every 3s", 25, "whole number of periods"),
        ("sine 1/s..5/s 10s ever 5s", 19, "\"ever\""),
        ("sine 1/s..5/s 10us", 15, "1ms"),
        ("hold 0/s 1s", 1, "sends nothing"),
        ("hold 5/s 1s, ünd", 14, "\"ünd\""),
        ("höld 5/s 1s, hold x 1s", 1, "höld"),
    ] {
        let error = Profile::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("column {column}: ")) && error.contains(said), "{text}: {error}");
        let caret = error.lines().last().expect("three lines");
        assert_eq!(caret.chars().position(|c| c == '^'), Some(column + 1), "{error}");
    }
}

fn part() -> impl Strategy<Value = String> {
    let dur = 1u64..3_000;
    prop_oneof![
        (0u64..2_000, 0u64..2_000, dur.clone()).prop_map(|(a, b, d)| format!("ramp {a}/s..{b}/s {d}ms")),
        (0u64..2_000, dur.clone()).prop_map(|(a, d)| format!("hold {a}/s {d}ms")),
        (1u64..2_000, 2u64..9, dur).prop_map(|(a, n, d)| format!("step {a}/s..3/s x{n} {d}ms")),
        (0u64..2_000, 0u64..2_000, 1u64..200, 1u64..9).prop_map(|(a, b, p, n)| format!("sine {a}/s..{b}/s {}ms every {p}ms", p * n)),
    ]
}

proptest! {
    #[test]
    fn due_times_never_decrease_and_the_count_is_the_curve_s(parts in prop::collection::vec(part(), 1..6), spike in 0u64..9) {
        let text = format!("hold 100/s 50ms, {}, spike x{}.5 200ms", parts.join(", "), spike);
        let profile = profile(&text);
        let mut last = 0;
        for index in 0..profile.messages().min(3_000) {
            let due = profile.due_ns(index).expect("in it");
            prop_assert!(due >= last && due < profile.len_ns());
            // The definition, against the slow sum (which is floating point: as near as that is).
            prop_assert!(count_at(&profile, due) <= index as f64 + 1e-6, "{} at {}", index, due);
            prop_assert!(count_at(&profile, due + 1) > index as f64 - 1e-6, "{} at {}", index, due);
            prop_assert!(profile.count_until(due) <= index && profile.count_until(due + 1) > index);
            last = due;
        }
        prop_assert_eq!(profile.due_ns(profile.messages()), None);
    }

    #[test]
    fn a_ramp_s_times_are_exact(from in 0u64..2_000_000_000, to in 0u64..2_000_000_000, len_ns in 1u64..20_000_000_000, share in 0u64..1_000) {
        let piece = Piece { at_ns: 0, len_ns, at: 0, from, to };
        let area = piece.area() / 1_000 * u128::from(share);
        prop_assume!(area < piece.area());
        let t = piece.last_not_above(area);
        // By hand, over a common denominator: 2·from·t·len + (to − from)·t² against area·len.
        let exact = |t: u64| 2 * i128::from(from) * i128::from(t) * i128::from(len_ns) + (i128::from(to) - i128::from(from)) * i128::from(t) * i128::from(t);
        let bound = i128::try_from(area).expect("small") * i128::from(len_ns);
        prop_assert!(exact(t) <= bound && exact(t + 1) > bound);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9./, x]{0,40}") {
        if let Err(error) = Profile::parse(&text) {
            prop_assert!(error.to_string().contains('^'));
        }
    }
}
