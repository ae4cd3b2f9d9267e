//! Why a broker's certificate is not accepted, in OpenSSL's words.
//!
//! The client itself says "could not be verified" whatever is wrong. Its verification callback is the only place where the
//! reason is known, so this is the one function of ours that C calls. It decides nothing: what OpenSSL refused stays refused,
//! what it accepted stays accepted.
//!
//! **Safety.** [`explain`] touches only its arguments, allocates nothing and cannot panic, so that nothing unwinds into C.
//! librdkafka promises a valid `x509_error` and a buffer of `size` bytes. `X509_verify_cert_error_string` gives a static string for
//! any number; it is part of the OpenSSL that is linked in for librdkafka.
#![expect(unsafe_code, reason = "a callback of librdkafka; see the safety argument above")]

use std::ffi::{CStr, c_char, c_int, c_long, c_void};

use rdkafka::bindings as rd;

unsafe extern "C" {
    fn X509_verify_cert_error_string(code: c_long) -> *const c_char;
}

/// The signature is librdkafka's.
///
/// # Safety
/// To be called by librdkafka only.
pub(super) unsafe extern "C" fn explain(
    _client: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _broker_id: i32,
    x509_error: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _certificate_size: usize,
    text: *mut c_char,
    text_size: usize,
    _opaque: *mut c_void,
) -> c_int {
    // SAFETY: see the file's head.
    unsafe {
        let code = *x509_error;
        if code == 0 {
            return 1;
        }
        let words = X509_verify_cert_error_string(c_long::from(code));
        if !text.is_null() && text_size > 0 && !words.is_null() {
            let bytes = CStr::from_ptr(words).to_bytes();
            let length = bytes.len().min(text_size - 1);
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), text, length);
            *text.add(length) = 0;
        }
        0
    }
}
