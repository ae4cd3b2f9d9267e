//! The client's SASL queue, and handing a token to it.
//!
//! **Safety.** As in [`super::queue`]; strings live through the calls, which copy them.
#![expect(unsafe_code, reason = "the C API of librdkafka; see the safety argument above")]

use std::ffi::c_char;
use std::sync::Arc;

use rdkafka::bindings as rd;

use super::{Client, Queue, c_string, lossy};
use crate::broker::BrokerError;

impl Client {
    /// The queue on which a client that signs in by token, and nothing else, asks for the next one.
    pub(crate) fn sasl_queue(self: &Arc<Self>) -> Result<Queue, BrokerError> {
        // SAFETY: the client lives; the returned reference is owned by the queue; null to a client without such a queue.
        Queue::own(self, unsafe { rd::rd_kafka_queue_get_sasl(self.ptr()) })
    }

    /// Signs in with this token from now on, and asks for another one after four fifths of its remaining life.
    ///
    /// # Errors
    /// The client's words, which can hold the token: not to be shown.
    pub(crate) fn set_token(&self, token: &str, expires_unix_ms: i64, user: &str) -> Result<(), String> {
        let (Ok(token), Ok(user)) = (c_string(token, "a token"), c_string(user, "a user")) else {
            return Err("there is a NUL byte in it".to_owned());
        };
        let mut text = [0 as c_char; 512];
        // SAFETY: the client and the strings live; no extensions; the buffer has the stated size and is terminated by the
        // library. The function gives local codes only.
        let code = unsafe {
            rd::rd_kafka_oauthbearer_set_token(
                self.ptr(),
                token.as_ptr(),
                expires_unix_ms,
                user.as_ptr(),
                std::ptr::null_mut(),
                0,
                text.as_mut_ptr(),
                text.len(),
            )
        };
        if code as i32 == 0 {
            return Ok(());
        }
        // SAFETY: terminated by the library.
        Err(unsafe { lossy(text.as_ptr()) })
    }

    /// Tells the client that there is no token now, which it passes on as an error of signing in; it goes on with the one it has.
    pub(crate) fn set_token_failure(&self, reason: &str) {
        if let Ok(reason) = c_string(reason, "a reason") {
            // SAFETY: client and string live. Its codes are local ones, for a client without tokens.
            unsafe { rd::rd_kafka_oauthbearer_set_token_failure(self.ptr(), reason.as_ptr()) };
        }
    }
}
