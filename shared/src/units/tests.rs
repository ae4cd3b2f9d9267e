use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text_is_answered_and_errors_show_it(text in ".{0,24}") {
        for result in [
            parse_duration(&text).err(), parse_rate(&text).err(), parse_byte_rate(&text).err(), parse_size(&text).err(),
            parse_time(&text).err(), parse_percent(&text).err(), parse_ratio(&text).err(),
        ].into_iter().flatten() {
            prop_assert_eq!(&result.text, &text);
            prop_assert!(result.to_string().contains("such as"));
        }
    }

    #[test]
    fn times_come_back_to_the_nanosecond(ns in 0i64..=i64::MAX) {
        prop_assert_eq!(parse_time(&format_time_ns(ns)), Ok(ns));
    }

    #[test]
    fn an_offset_is_taken_off(ns in 86_400_000_000_000i64..4_000_000_000_000_000_000, hours in 0i64..24, minutes in 0i64..60, east in any::<bool>()) {
        let shift = (hours * 3_600 + minutes * 60) * 1_000_000_000;
        let local = format_time_ns(if east { ns + shift } else { ns - shift });
        let text = format!("{}{}{hours:02}:{minutes:02}", local.trim_end_matches('Z'), if east { '+' } else { '-' });
        prop_assert_eq!(parse_time(&text), Ok(ns));
    }

    #[test]
    fn a_decimal_is_exact(whole in 0u64..1_000_000, thousandths in 0u64..1000) {
        prop_assume!(whole + thousandths > 0);
        prop_assert_eq!(parse_ratio(&format!("{whole}.{thousandths:03}")).ok(), Ratio::new(whole * 1000 + thousandths, 1000));
        prop_assert_eq!(parse_rate(&format!("{whole}.{thousandths:03}k/s")).ok(), Ratio::new(whole * 1000 + thousandths, 1));
    }

    #[test]
    fn whole_sizes_are_exact(n in 0u64..1 << 20) {
        prop_assert_eq!(parse_size(&format!("{n}")), Ok(n));
        prop_assert_eq!(parse_size(&format!("{n}MiB")), Ok(n << 20));
        prop_assert_eq!(parse_size(&format!("{n} MB")), Ok(n * 1_000_000));
    }

    #[test]
    fn counts_lose_no_digit(n in any::<u64>()) {
        prop_assert_eq!(format_count(n).replace(',', ""), n.to_string());
    }

    #[test]
    fn formats_never_panic(n in any::<u64>(), x in any::<f64>(), t in any::<i64>()) {
        let _ = (format_ns(n), format_bytes(n), format_duration_ns(n), format_rate(x), format_percent(x), format_time_ns(t));
    }
}

#[test]
fn what_people_write_is_understood() {
    assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(parse_duration(" 24h "), Ok(Duration::from_secs(86_400)));
    assert_eq!(parse_rate("50k/s"), Ok(Ratio { num: 50_000, den: 1 }));
    assert_eq!(parse_rate("1.5M/s"), Ok(Ratio { num: 1_500_000, den: 1 }));
    assert_eq!(parse_rate("0.5/s"), Ok(Ratio { num: 1, den: 2 }));
    assert_eq!(parse_byte_rate("10MiB/s"), Ok(10 << 20));
    assert_eq!(parse_byte_rate("10MB/s"), Ok(10_000_000));
    assert_eq!(parse_size("1.5KiB"), Ok(1_536));
    assert_eq!(parse_time("1970-01-01T00:00:00.000000001Z"), Ok(1));
    assert_eq!(parse_time("1970-01-01t01:00:00+01:00"), Ok(0));
    assert_eq!(parse_percent("5%"), Ok(0.05));
    assert_eq!(parse_ratio("0.5").map(|r| (r.num(), r.den())), Ok((1, 2)));
}

#[test]
fn nonsense_is_refused() {
    for text in ["", "5", "-5s", "5 parsecs", "999999999999999999y"] {
        assert!(parse_duration(text).is_err(), "{text:?}");
    }
    for text in ["", "/s", "50k", "0/s", "-1/s", "1e9/s", "5kk/s", "1../s", "1./s", "99999999999999999999/s", "18446744073709551615k/s"] {
        assert!(parse_rate(text).is_err(), "{text:?}");
    }
    for text in ["", "10MiB", "0B/s", "10Mb/s", "99999999TiB/s"] {
        assert!(parse_byte_rate(text).is_err(), "{text:?}");
    }
    for text in [
        "",
        "12:00",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00+25:00",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
    ] {
        assert!(parse_time(text).is_err(), "{text:?}");
    }
    for text in ["0", "0.0", "-1", ".5", "4x", "nan", "inf"] {
        assert!(parse_ratio(text).is_err(), "{text:?}");
    }
    assert!(parse_percent("5").is_err());
}

#[test]
fn people_can_read_it() {
    assert_eq!(format_ns(999), "999 ns");
    assert_eq!(format_ns(12_345), "12.3 µs");
    assert_eq!(format_ns(4_560_000), "4.56 ms");
    assert_eq!(format_ns(2_000_000_000), "2 s");
    assert_eq!(format_ns(125_000_000_000), "2 min 5 s");
    assert_eq!(format_bytes(1_536), "1.5 KiB");
    assert_eq!(format_bytes(64 << 20), "64 MiB");
    assert_eq!(format_count(1_234_567), "1,234,567");
    assert_eq!(format_rate(51_300.0), "51.3k/s");
    assert_eq!(format_rate(1_200_000.0), "1.2M/s");
    assert_eq!(format_percent(1.0), "100 %");
    assert_eq!(format_percent(0.99996), "99.996 %");
    assert_eq!(format_percent(0.5), "50 %");
}
