//! Arguments of exchanges, queues and bindings: from the JSON of the management API to AMQP's table.
//!
//! Limits: JSON does not tell AMQP's integer types apart, so each becomes the widest, which RabbitMQ takes for the same; a number
//! with a fraction becomes a double. A name of more than 255 bytes, which no broker has and AMQP cannot say, is left out.

use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use serde_json::{Map, Value};

/// The table.
#[must_use]
pub(super) fn table(from: &Map<String, Value>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in from {
        if let Ok(name) = ShortString::try_new(name.as_str()) {
            table.insert(name, self::value(value));
        }
    }
    table
}

fn value(from: &Value) -> AMQPValue {
    match from {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => AMQPValue::LongLongInt(integer),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(list) => {
            let mut array = FieldArray::default();
            list.iter().for_each(|item| array.push(value(item)));
            AMQPValue::FieldArray(array)
        }
        Value::Object(map) => AMQPValue::FieldTable(table(map)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_value_has_its_type() {
        let long = "n".repeat(256);
        let from = json!({long: 1, "b": true, "i": -5, "f": 1.5, "s": "x", "a": [1, "y"], "t": {"n": null}});
        let table = table(from.as_object().expect("an object"));
        assert_eq!(table.inner().len(), 6);
        let found = |name: &str| table.inner().get(name).cloned().expect("there");
        assert_eq!((found("b"), found("i"), found("f")), (AMQPValue::Boolean(true), AMQPValue::LongLongInt(-5), AMQPValue::Double(1.5)));
        assert_eq!(found("s"), AMQPValue::LongString("x".into()));
        assert!(matches!(found("a"), AMQPValue::FieldArray(array) if array.as_slice().len() == 2));
        assert!(matches!(found("t"), AMQPValue::FieldTable(inner) if inner.inner().get("n") == Some(&AMQPValue::Void)));
    }
}
