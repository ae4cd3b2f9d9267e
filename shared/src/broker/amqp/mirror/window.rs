//! How many deliveries may be on their way: as many as fit into the memory that there is, at the size that messages have. Pure.
//!
//! AMQP bounds them by number only, and the client takes whatever comes.
//!
//! Limits: when messages grow suddenly, those that are on their way already come in their new size.

/// What a delivery takes beside its body: properties, and what the client keeps of it.
const OVERHEAD_BYTES: u64 = 1_024;
/// What is assumed before any came: a session begins with few.
const FIRST: u16 = 64;

/// The state of one session.
#[derive(Debug)]
pub(super) struct Window {
    budget_bytes: u64,
    most: u16,
    present: u16,
    /// Of a delivery, over the last ones.
    mean_bytes: f64,
}

impl Window {
    pub(super) fn new(budget_bytes: u64, most: u16) -> Self {
        Self { budget_bytes, most, present: most.min(FIRST), mean_bytes: 0.0 }
    }

    pub(super) fn present(&self) -> u16 {
        self.present
    }

    /// So many came, with so many bytes of bodies. The window to go over to, if another one is worth the while.
    pub(super) fn came(&mut self, count: usize, bytes: usize) -> Option<u16> {
        let (count, bytes) = (count as u64, bytes as u64);
        if count == 0 {
            return None;
        }
        let mean = (bytes / count + OVERHEAD_BYTES) as f64;
        // What grows counts at once, what shrinks slowly.
        self.mean_bytes = if mean > self.mean_bytes { mean } else { self.mean_bytes * 0.9 + mean * 0.1 };
        let fits = (self.budget_bytes as f64 / self.mean_bytes).clamp(1.0, f64::from(self.most));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to u16 above")]
        let fits = fits as u16;
        let another = fits <= self.present / 2 || fits / 2 >= self.present || (fits == self.most && fits > self.present);
        another.then(|| {
            self.present = fits;
            fits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_open_it_wide_and_large_ones_close_it() {
        let mut window = Window::new(64 << 20, 20_000);
        assert_eq!(window.present(), 64);
        assert_eq!(window.came(10, 2_000), Some(20_000));
        assert_eq!(window.came(256, 51_200), None);
        assert_eq!(window.came(1, 16 << 20), Some(3), "at once");
        assert_eq!(window.came(1, 16 << 20), None);
        let wider = (0..200).find_map(|_| window.came(1, 200));
        assert!(wider.is_some_and(|wider| wider > 3), "slowly");
        assert_eq!(Window::new(1 << 20, 500).came(1, 64 << 20), Some(1), "never none");
        assert_eq!(Window::new(1 << 20, 10).present(), 10);
    }
}
