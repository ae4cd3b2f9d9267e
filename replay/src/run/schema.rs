//! `docs/run.schema.json` is what the types of [`RunReport`] say: derived from them, with their documents as descriptions, and
//! held here. It is of what this version writes: every field is there; further ones may come.
//!
//! When a change is meant, write it anew with `DEJAQ_WRITE_SCHEMA=1 cargo test -p dejaq-replay schema::` and commit it with it.

use std::path::Path;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::{Value, json};

use super::report::{RunReport, SCHEMA_VERSION};

/// Descriptions are read where there are no links.
fn without_links(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`");
    }
}

fn derived() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<RunReport>();
    RecursiveTransform(without_links).transform(&mut schema);
    schema.insert("title".to_owned(), "run.json".into());
    let mut schema = schema.to_value();
    schema["properties"]["schema_version"]["const"] = json!(SCHEMA_VERSION);
    schema
}

#[test]
fn the_schema_in_the_docs_is_that_of_the_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/run.schema.json");
    let now = derived();
    if std::env::var_os("DEJAQ_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, format!("{now:#}\n")).expect("written");
    }
    let agreed: Value = serde_json::from_slice(&std::fs::read(&path).expect("docs/run.schema.json")).expect("JSON");
    assert_eq!(now, agreed, "if the change is meant: DEJAQ_WRITE_SCHEMA=1 cargo test -p dejaq-replay schema::");
}
