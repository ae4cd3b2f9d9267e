//! Words of commands that people paste into a shell.

/// A word as a shell reads it back.
pub(super) fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_word_comes_back_as_it_was() {
        assert_eq!(word("orders.eu"), "orders.eu");
        assert_eq!(word(""), "''");
        assert_eq!(word("o'brien; reboot"), r"'o'\''brien; reboot'");
    }
}
