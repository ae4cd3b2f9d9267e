//! What the values of the system under test are counted in, and how they are written for people.

use dejaq_shared::units::{format_bytes, format_count, format_ns, format_percent, format_rate};

/// What a metric is counted in, as far as its name says.
pub(crate) fn of_metric(metric: &str) -> &'static str {
    let name = metric.split('{').next().unwrap_or(metric);
    match name.rsplit('_').next() {
        Some("cores") => "cores",
        Some("bytes") => "bytes",
        Some("seconds") => "s",
        Some("ns") => "ns",
        Some("messages") => "messages",
        Some("threads" | "fds" | "processes") => "count",
        _ => "",
    }
}

/// A value in what it is counted in.
pub(crate) fn in_unit(value: f64, unit: &str) -> String {
    if value < 0.0 {
        return format!("-{}", in_unit(-value, unit));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and nothing is near 2^64")]
    let whole = |value: f64| value as u64;
    match unit {
        "ns" => format_ns(whole(value)),
        "s" => format_ns(whole(value * 1e9)),
        "bytes" => format_bytes(whole(value)),
        "messages" | "count" => format_count(whole(value)),
        "share" => format_percent(value),
        "1/s" => format_rate(value),
        _ if value.fract().abs() > 0.0 => format!("{value:.2}"),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_in_what_its_metric_is_counted_in() {
        let written = |metric: &str, value: f64| in_unit(value, of_metric(metric));
        assert_eq!(written("rss_bytes", 3_145_728.0), "3 MiB");
        assert_eq!(written("heap_bytes{area=\"old\"}", 1_024.0), "1 KiB");
        assert_eq!(written("gc_pause_seconds{quantile=\"0.99\"}", 0.0123), "12.3 ms");
        assert_eq!((written("process_threads", 1_234.0), written("queue", 1.5)), ("1,234".to_owned(), "1.50".to_owned()));
        assert_eq!((written("queue_bytes", -2_048.0), in_unit(-1e9, "ns")), ("-2 KiB".to_owned(), "-1 s".to_owned()));
        assert_eq!((written("cpu_cores", 0.580_008), written("threads", 469.0)), ("0.58".to_owned(), "469".to_owned()));
    }
}
