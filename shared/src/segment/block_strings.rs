//! Keys, header sets, values and their like of a block being built: joined bytes and lengths, by way of a dictionary while it
//! pays. A column of nulls costs nothing: it is not written.
//!
//! A dictionary that does not pay gives itself up after a trial: the records so far are written out in full.

use std::hash::{BuildHasher, Hasher as _};

use crate::varint;

/// After so many records a dictionary must have paid, or it is given up.
const DICTIONARY_TRIAL: usize = 512;

/// A column of byte strings being built.
pub(super) struct Strings {
    pub(super) lengths: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) any: bool,
    records: usize,
    may_index: bool,
    pub(super) dictionary: Option<Dictionary>,
    spare: Option<Dictionary>,
}

#[derive(Default)]
pub(super) struct Dictionary {
    pub(super) index: Vec<u8>,
    /// Where each entry lies in the joined bytes.
    spans: Vec<(u32, u32)>,
    table: hashbrown::HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
    /// The entry that the record before had (+ 1): equal neighbours are the commonest case.
    previous: u32,
}

impl Strings {
    pub(super) fn new(may_index: bool) -> Self {
        Self {
            lengths: Vec::new(),
            bytes: Vec::new(),
            any: false,
            records: 0,
            may_index,
            dictionary: may_index.then(Dictionary::default),
            spare: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.lengths.clear();
        self.bytes.clear();
        self.any = false;
        self.records = 0;
        if self.dictionary.is_none() && self.may_index {
            self.dictionary = self.spare.take();
        }
        if let Some(dictionary) = &mut self.dictionary {
            dictionary.clear();
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.lengths.capacity()
            + self.bytes.capacity()
            + self.dictionary.as_ref().map_or(0, |d| d.index.capacity() + d.spans.capacity() * 8 + d.table.capacity() * 5)
    }

    #[inline]
    pub(super) fn push(&mut self, string: Option<&[u8]>) {
        if !self.any {
            if string.is_none() {
                self.records += 1;
                return;
            }
            self.begin();
        }
        self.records += 1;
        match &mut self.dictionary {
            None => self.push_plain(string),
            Some(dictionary) => {
                dictionary.push(string, &mut self.lengths, &mut self.bytes);
                // Worth it while entries repeat; and entries are bounded by u32 offsets, far above a block's size.
                if self.records == DICTIONARY_TRIAL && dictionary.spans.len() * 2 > DICTIONARY_TRIAL {
                    self.give_up();
                }
            }
        }
    }

    /// The first that is not null: the nulls before it are written.
    fn begin(&mut self) {
        self.any = true;
        match &mut self.dictionary {
            None => self.lengths.resize(self.records, 0),
            Some(dictionary) => dictionary.index.resize(self.records, 0),
        }
    }

    #[inline]
    fn push_plain(&mut self, string: Option<&[u8]>) {
        match string {
            None => self.lengths.push(0),
            Some(string) => {
                varint::write_u64(&mut self.lengths, string.len() as u64 + 1);
                self.bytes.extend_from_slice(string);
            }
        }
    }

    /// Writes the records so far out in full.
    fn give_up(&mut self) {
        let Some(dictionary) = self.dictionary.take() else { return };
        let entries = std::mem::take(&mut self.bytes);
        self.lengths.clear();
        let mut index = dictionary.index.as_slice();
        while let Some(entry) = varint::read_u64(&mut index) {
            let string = usize::try_from(entry)
                .ok()
                .and_then(|e| e.checked_sub(1))
                .and_then(|e| dictionary.spans.get(e))
                .map(|(start, len)| &entries[*start as usize..][..*len as usize]);
            self.push_plain(string);
        }
        self.spare = Some(dictionary);
    }
}

impl Dictionary {
    fn clear(&mut self) {
        self.index.clear();
        self.spans.clear();
        self.table.clear();
        self.previous = 0;
    }

    #[inline]
    fn push(&mut self, string: Option<&[u8]>, lengths: &mut Vec<u8>, bytes: &mut Vec<u8>) {
        let Some(string) = string else {
            self.index.push(0);
            return;
        };
        if let Some((start, len)) = self.previous.checked_sub(1).and_then(|p| self.spans.get(p as usize))
            && bytes[*start as usize..][..*len as usize] == *string
        {
            varint::write_u64(&mut self.index, u64::from(self.previous));
            return;
        }
        let hash = self.hash(string);
        let found = self.table.find(hash, |&entry| {
            let (start, len) = self.spans[entry as usize];
            bytes[start as usize..][..len as usize] == *string
        });
        let entry = match found {
            Some(&entry) => entry,
            None => self.insert(hash, string, lengths, bytes),
        };
        self.previous = entry + 1;
        varint::write_u64(&mut self.index, u64::from(self.previous));
    }

    fn insert(&mut self, hash: u64, string: &[u8], lengths: &mut Vec<u8>, bytes: &mut Vec<u8>) -> u32 {
        let entry = u32::try_from(self.spans.len()).unwrap_or(u32::MAX);
        let start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.spans.push((start, u32::try_from(string.len()).unwrap_or(u32::MAX)));
        varint::write_u64(lengths, string.len() as u64 + 1);
        bytes.extend_from_slice(string);
        let Self { table, spans, hasher, .. } = self;
        table.insert_unique(hash, entry, |&other| {
            let (start, len) = spans[other as usize];
            hash_of(hasher, &bytes[start as usize..][..len as usize])
        });
        entry
    }

    #[inline]
    fn hash(&self, string: &[u8]) -> u64 {
        hash_of(&self.hasher, string)
    }
}

#[inline]
fn hash_of(hasher: &hashbrown::DefaultHashBuilder, string: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(string);
    state.finish()
}
