//! RabbitMQ's management API: what stands at the broker, and what a user may see of it.
//!
//! Guarantees: answers are bounded; "not allowed" says which tag or permission is missing and how to grant it; what is not there is
//! `None`, not an error. Fields that dejaq does not know are left alone, so that later versions of RabbitMQ can be asked, too.

#[cfg(feature = "source")]
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::http::{Answer, Http};
use super::rights::{Needs, Who};
#[cfg(feature = "source")]
use super::topology;
use crate::broker::BrokerError;
#[cfg(feature = "source")]
use crate::broker::endpoint::percent_encode;

/// The most bytes of an answer: some hundred thousand queues.
const BYTES_MAX: u64 = 256 << 20;
/// Where the cluster's persistent id is among the global parameters.
const CLUSTER_ID: &str = "/api/global-parameters/internal_cluster_id";

/// The management API of one node, asked as one user.
pub(super) struct Management {
    http: Http,
    who: Who,
}

/// What a node says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Overview {
    /// The name of the cluster.
    #[serde(default)]
    pub(super) cluster_name: String,
}

/// What holds of a queue right now.
#[cfg(feature = "source")]
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct QueueStatus {
    /// `classic`, `quorum`, `stream`.
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// The arguments that it was declared with.
    #[serde(default)]
    pub(super) arguments: serde_json::Value,
    /// The policy that holds for it.
    #[serde(default)]
    pub(super) policy: Option<String>,
    /// The operator policy that holds for it.
    #[serde(default)]
    pub(super) operator_policy: Option<String>,
    /// What the two say together.
    #[serde(default)]
    pub(super) effective_policy_definition: Option<serde_json::Value>,
    /// Messages that consumers hold: a statistic, up to 5 s old, and not there until the first one was taken.
    #[serde(default)]
    pub(super) messages_unacknowledged: Option<u64>,
}

impl Management {
    pub(super) fn new(http: Http, who: Who) -> Self {
        Self { http, who }
    }

    /// The same, asked for no longer than this a question.
    #[cfg(feature = "source")]
    pub(super) fn within(self, timeout: Duration) -> Self {
        Self { http: self.http.within(timeout), ..self }
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// When nobody answers, or the user may not ask.
    pub(super) fn overview(&self) -> Result<Overview, BrokerError> {
        self.get("/api/overview")
    }

    /// The id that was made with the cluster, and stays; `None` when the node tells none. It takes the tag `policymaker` or
    /// `administrator`.
    ///
    /// # Errors
    /// As [`Management::overview`].
    pub(super) fn cluster_id(&self) -> Result<Option<String>, BrokerError> {
        #[derive(Deserialize)]
        struct Parameter {
            value: serde_json::Value,
        }
        let parameter: Option<Parameter> = self.find(CLUSTER_ID)?;
        Ok(parameter.and_then(|p| p.value.as_str().map(str::to_owned)).filter(|id| !id.is_empty()))
    }

    /// The names of all virtual hosts that the user sees.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn vhosts(&self) -> Result<Vec<String>, BrokerError> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let all: Vec<Named> = self.get("/api/vhosts")?;
        Ok(all.into_iter().map(|vhost| vhost.name).collect())
    }

    /// A virtual host's exchanges; `None` where there is no such virtual host.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn exchanges(&self, vhost: &str) -> Result<Option<Vec<topology::Exchange>>, BrokerError> {
        self.find(&format!("/api/exchanges/{}", percent_encode(vhost)))
    }

    /// An exchange; `None` where there is none of that name.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn exchange(&self, vhost: &str, name: &str) -> Result<Option<topology::Exchange>, BrokerError> {
        self.find(&format!("/api/exchanges/{}/{}", percent_encode(vhost), percent_encode(name)))
    }

    /// A virtual host's bindings.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn bindings(&self, vhost: &str) -> Result<Vec<topology::Binding>, BrokerError> {
        self.get(&format!("/api/bindings/{}", percent_encode(vhost)))
    }

    /// A virtual host's queues.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn queues(&self, vhost: &str) -> Result<Vec<topology::Queue>, BrokerError> {
        self.get(&format!("/api/queues/{}", percent_encode(vhost)))
    }

    /// A virtual host's policies.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn policies(&self, vhost: &str) -> Result<Vec<topology::Policy>, BrokerError> {
        self.get(&format!("/api/policies/{}", percent_encode(vhost)))
    }

    /// What holds of a queue; `None` where there is none of that name.
    ///
    /// # Errors
    /// As [`Management::overview`].
    #[cfg(feature = "source")]
    pub(super) fn queue(&self, vhost: &str, name: &str) -> Result<Option<QueueStatus>, BrokerError> {
        self.find(&format!("/api/queues/{}/{}", percent_encode(vhost), percent_encode(name)))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BrokerError> {
        self.find(path)?.ok_or_else(|| self.http.unexpected(path, "there is no such thing (status 404)"))
    }

    /// Any other thing; `None`: it is not there.
    ///
    /// # Errors
    /// As [`Management::overview`].
    pub(super) fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, BrokerError> {
        match self.http.get(path, BYTES_MAX)? {
            Answer::Body(body) => {
                serde_json::from_str(&body).map(Some).map_err(|e| self.http.unexpected(path, &format!("the answer is not understood: {e}")))
            }
            Answer::Refused(404, _) => Ok(None),
            Answer::Refused(status @ (401 | 403), body) => Err(self.not_allowed(path, status, &body)),
            Answer::Refused(status, _) => Err(self.http.unexpected(path, &format!("it answered with status {status}"))),
        }
    }

    /// RabbitMQ says in words why it refuses.
    fn not_allowed(&self, path: &str, status: u16, body: &str) -> BrokerError {
        #[derive(Deserialize)]
        struct Refusal {
            reason: String,
        }
        let reason = serde_json::from_str(body).map_or_else(|_| format!("status {status}"), |refusal: Refusal| refusal.reason);
        let resource = format!("the management API at {} ({path}: {reason})", self.http.base());
        let lacks = |tag: &str| self.who.lacks_tag("ask", resource.clone(), tag);
        match reason.as_str() {
            "Not management user" => lacks("monitoring"),
            "Not monitor user" => lacks("monitoring"),
            "User not authorised to access object" if path == CLUSTER_ID => lacks("policymaker"),
            "User not authorised to access virtual host" => {
                // Names of virtual hosts are the last or the only part of what is asked of them.
                let vhost = path.split('/').nth(3).unwrap_or_default();
                let needs = Needs { read: ".*".to_owned(), ..Needs::default() };
                self.who.lacks("see", resource.clone(), &vhost.replace("%2F", "/"), &needs)
            }
            "Login failed" => BrokerError::Request {
                request: format!("signing in at {} as user {:?}", self.http.base(), self.who.user()),
                reason: "the management API knows no such user with that password; give another one with -X management=http://USER:PASSWORD@HOST:PORT"
                    .to_owned(),
                retryable: false,
            },
            _ => lacks("monitoring"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn management() -> Management {
        Management::new(Http::new("http://u:hunter2@h:15672", None, None).expect("a URL"), Who::new("recorder"))
    }

    #[test]
    fn each_refusal_says_what_grants_it() {
        for (path, reason, command) in [
            ("/api/whoami", "Not management user", "set_user_tags recorder monitoring"),
            ("/api/nodes", "Not monitor user", "set_user_tags recorder monitoring"),
            (CLUSTER_ID, "User not authorised to access object", "set_user_tags recorder policymaker"),
            ("/api/queues/%2F/q", "User not authorised to access virtual host", "set_permissions -p / recorder"),
            ("/api/overview", "Login failed", "-X management="),
        ] {
            let text = management().not_allowed(path, 401, &format!(r#"{{"error":"not_authorised","reason":"{reason}"}}"#)).to_string();
            assert!(text.contains(command) && !text.contains("hunter2"), "{text}");
        }
    }
}
