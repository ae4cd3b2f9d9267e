//! Locks around counts and figures, which a panic of another thread does not make unusable.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, whatever became of who had it before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
