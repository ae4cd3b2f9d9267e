//! Building a header table.

use super::value::{Malformed, Table, Value};

/// Builds a table, from the outside in. Reuse it: `clear` keeps its memory.
#[derive(Debug, Clone, Default)]
pub struct TableBuf {
    bytes: Vec<u8>,
    /// Where the contents of the tables and arrays begin that are open.
    open: Vec<usize>,
    name_too_long: Option<usize>,
}

impl TableBuf {
    /// Removes all entries.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.open.clear();
        self.name_too_long = None;
    }

    /// The name of the entry whose value comes next; not for the values of an array.
    pub fn name(&mut self, name: &[u8]) -> &mut Self {
        match u8::try_from(name.len()) {
            Ok(length) => self.bytes.push(length),
            Err(_) => self.name_too_long = Some(self.bytes.len()),
        }
        self.bytes.extend_from_slice(name);
        self
    }

    /// A value; a table or an array goes in as it is.
    pub fn value(&mut self, value: Value<'_>) -> &mut Self {
        value.write(&mut self.bytes);
        self
    }

    /// Begins a table as the value.
    pub fn begin_table(&mut self) -> &mut Self {
        self.value(Value::Table(Table::EMPTY));
        self.open.push(self.bytes.len());
        self
    }

    /// Begins an array as the value.
    pub fn begin_array(&mut self) -> &mut Self {
        self.value(Value::Array(super::Array::default()));
        self.open.push(self.bytes.len());
        self
    }

    /// Ends the table or array that was begun last.
    pub fn end(&mut self) -> &mut Self {
        if let Some(start) = self.open.pop() {
            let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
            self.bytes[start - 4..start].copy_from_slice(&length.to_le_bytes());
        }
        self
    }

    /// The table.
    ///
    /// # Errors
    /// [`Malformed`] when it is too deep, a name has more than 255 bytes, or names and values do not take turns.
    pub fn as_table(&self) -> Result<Table<'_>, Malformed> {
        match self.name_too_long {
            Some(offset) => Err(Malformed { offset, what: "a name of more than 255 bytes" }),
            None => Table::parse(&self.bytes),
        }
    }
}
