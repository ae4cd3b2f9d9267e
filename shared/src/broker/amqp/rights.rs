//! What a user lacks a right for at RabbitMQ, in words, and the command that grants it. Pure.
//!
//! Limits: `set_permissions` and `set_user_tags` replace what the user has, so the commands name everything that dejaq needs
//! (which is not all that the user may have had before). The user of another authentication backend gets its rights there.

use crate::broker::{BrokerError, shell};

/// Who the client is to the broker.
#[derive(Debug, Clone)]
pub(super) struct Who {
    user: String,
}

/// What a user must be allowed in a virtual host: names of exchanges and queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// To make and to remove, as a regular expression; empty: nothing.
    pub(super) configure: String,
    /// To publish to, and to bind.
    pub(super) write: String,
    /// To consume from, and to bind to.
    pub(super) read: String,
}

/// A regular expression that matches exactly these names; RabbitMQ's own name of the default exchange is `amq.default`.
pub(super) fn exactly<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| regex::escape(if name.is_empty() { "amq.default" } else { name })).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("^{one}$"),
        many => format!("^({})$", many.join("|")),
    }
}

impl Who {
    pub(super) fn new(user: &str) -> Self {
        Self { user: user.to_owned() }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The user may not do this in that virtual host. `operation` is RabbitMQ's word: `configure`, `write`, `read`.
    pub(super) fn lacks(&self, operation: &'static str, resource: String, vhost: &str, needs: &Needs) -> BrokerError {
        let words = [vhost, &self.user, &needs.configure, &needs.write, &needs.read].map(shell::word);
        let [vhost, user, configure, write, read] = words;
        self.missing(operation, resource, format!("rabbitmqctl set_permissions -p {vhost} {user} {configure} {write} {read}"))
    }

    /// The user may not enter that virtual host at all.
    pub(super) fn lacks_vhost(&self, vhost: &str, needs: &Needs) -> BrokerError {
        self.lacks("access", format!("virtual host {vhost:?}"), vhost, needs)
    }

    /// The user lacks a tag of the management API.
    pub(super) fn lacks_tag(&self, operation: &'static str, resource: String, tag: &str) -> BrokerError {
        self.missing(operation, resource, format!("rabbitmqctl set_user_tags {} {tag}", shell::word(&self.user)))
    }

    fn missing(&self, operation: &'static str, resource: String, command: String) -> BrokerError {
        BrokerError::MissingRight { who: format!("user {:?}", self.user), operation, resource, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_what_and_how_to_grant_it_is_said() {
        let needs = Needs { write: exactly(["orders", "", "a.b", "orders"]), ..Needs::default() };
        let text = Who::new("player").lacks("write", "exchange \"orders\"".to_owned(), "/", &needs).to_string();
        assert_eq!(
            text,
            "user \"player\" may not write exchange \"orders\"; to allow it: rabbitmqctl set_permissions -p / player '' \
             '^(a\\.b|amq\\.default|orders)$' ''"
        );
        let text = Who::new("o'brien").lacks_tag("ask", "the management API".to_owned(), "monitoring").to_string();
        assert!(text.ends_with(r"rabbitmqctl set_user_tags 'o'\''brien' monitoring"), "{text}");
    }

    #[test]
    fn a_pattern_matches_its_names_and_no_other() {
        for names in [&["a.b"][..], &["a|b", "^x$", ""]] {
            let pattern = regex::Regex::new(&exactly(names.iter().copied())).expect("a pattern");
            assert!(names.iter().all(|name| pattern.is_match(if name.is_empty() { "amq.default" } else { name })));
            assert!(["aXb", "a", "x", "a.bc", ""].iter().all(|name| !pattern.is_match(name)));
        }
        assert_eq!(exactly([]), "");
    }
}
