//! Which client properties are secrets: in one place, for everything that prints, stores or attaches properties.
//!
//! It errs towards hiding: a property that merely sounds like a secret is shown as `***`. Names of files and addresses
//! are no secrets.

/// What is shown in a secret's place.
pub const HIDDEN: &str = "***";

/// Parts of the names of properties (librdkafka's, Java's) whose values are secrets.
const WORDS: [&str; 14] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "credential",
    "jaas",
    "assertion",
    "private.key",
    "ssl.key",
    "ssl_key",
    ".key",
    "pem",
    "sasl.oauthbearer.config",
    "kinit.cmd",
];

/// Whether a property's value must not be shown.
#[must_use]
pub fn is_secret(property: &str) -> bool {
    let name = property.to_ascii_lowercase();
    !name.ends_with(".location") && !name.ends_with("endpoint.url") && WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "sasl.password",
            "SASL.Password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl_key",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.jaas.config",
            "sasl.kerberos.kinit.cmd",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["ssl.key.location", "ssl.ca.location", "sasl.username", "sasl.oauthbearer.token.endpoint.url", "client.rack", "acks"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
