//! The bytes of every kind of rule, kept in `fixtures/expand`: the same rules, seed and records give them for ever.
//! `DEJAQ_WRITE_GOLDEN=1 cargo test -p dejaq-replay --lib golden` writes those that are not there yet.

use std::path::Path;

use super::*;

const KINDS: [(&str, &str); 12] = [
    ("uniform", "tag = \"host\"\ndistinct = 40"),
    ("zipf", "tag = \"host\"\ndistinct = 40\npick = { zipf = 1.1 }"),
    ("per-series", "tag = \"host\"\ndistinct = 40\npick = \"per-series\""),
    ("fresh", "tag = \"id\"\npick = \"fresh\""),
    ("uuid", "tag = \"id\"\ndistinct = 60"),
    ("address", "tag = \"ip\"\ndistinct = 60"),
    ("hexadecimal", "tag = \"span\"\ndistinct = 60\npick = { zipf = 0.7 }"),
    ("churn", "tag = \"host\"\ndistinct = 10\nchurn = { share = 0.3, every = \"1s\" }\npick = { zipf = 1 }"),
    ("grow", "tag = \"host\"\ndistinct = 40\ngrow = { from = 3, over = \"2s\", curve = \"exponential\" }"),
    ("series", "tags = [\"host\", \"env\"]\nseries = 50"),
    ("add", "tag = \"pod\"\ndistinct = 40\nmode = \"add\""),
    ("derive", "tag = \"host\"\ndistinct = 40\npattern = \"h{n:03}\"\nderive = { rack = \"r{host % 7}\", env = \"{host}-e\" }"),
];

fn traffic() -> Vec<Sent> {
    let line = |n: u64| {
        let uuid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        format!(
            "m{}|host=web-{:02},env=prod,id={uuid},ip=10.0.3.{n},span=00f067aa0ba902b7|{}\n",
            n % 2,
            n % 5,
            1_600_000_000_000_000_000 + n
        )
    };
    let at = |n: u64| Occasion { pass: u32::from(n >= 60), copy: u32::from(n % 2 == 1), due_ns: n * 33_000_000 };
    (0..120).map(|n| Sent { text: line(n), at: at(n) }).collect()
}

#[test]
fn golden_bytes_of_every_kind_of_rule() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/expand");
    for (name, rest) in KINDS {
        let rules =
            format!("[[expand]]\nstreams = \"*\"\nformat = \"influx\"\n{rest}\n\n[[retime]]\nstreams = \"*\"\nformat = \"influx\"\n");
        let text = run(&rules, &traffic(), 42).texts.concat();
        let path = dir.join(format!("{name}.txt"));
        if std::env::var_os("DEJAQ_WRITE_GOLDEN").is_some() && !path.exists() {
            std::fs::create_dir_all(&dir).expect("fixtures");
            std::fs::write(&path, &text).expect("written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(kept == text, "{name}: other bytes than those kept in {}", path.display());
    }
}
