//! How many different things there were, from their hashes, in 4 KiB: a HyperLogLog of 4,096 registers with Ertl's
//! estimator. Its standard error is 1.04/√4096 = 1.6 %; it is used for what passes through, never for what a rule writes.

const BITS: u32 = 12;
const REGISTERS: usize = 1 << BITS;

/// A count of different hashes.
#[derive(Debug, Clone)]
pub struct Sketch {
    registers: Vec<u8>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }
}

impl Sketch {
    /// The standard error of the estimate.
    pub const STANDARD_ERROR: f64 = 1.04 / 64.0;

    /// Takes a hash; all its bits should be good.
    pub fn add(&mut self, hash: u64) {
        // The lowest bits choose a register; the rest counts zeros.
        let register = (hash % REGISTERS as u64) as usize;
        let rank = ((hash >> BITS).leading_zeros() - BITS + 1) as u8;
        self.registers[register] = self.registers[register].max(rank);
    }

    /// How many different hashes there were, roughly.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        const TOP: usize = 64 - BITS as usize;
        let mut counts = [0u32; TOP + 2];
        for register in &self.registers {
            counts[usize::from(*register)] += 1;
        }
        let m = REGISTERS as f64;
        let mut z = m * tau(1.0 - f64::from(counts[TOP + 1]) / m);
        for count in counts[1..=TOP].iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        let estimate = libm::round(m * m / (2.0 * std::f64::consts::LN_2) / z);
        if estimate.is_finite() { estimate as u64 } else { 0 }
    }
}

/// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), equation 10.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// Equation 14 of the same.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = libm::sqrt(x);
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::hash::hash;

    #[test]
    fn the_estimate_is_near_at_any_size() {
        for size in [0u64, 1, 10, 100, 1_000, 10_000, 1_000_000] {
            let mut sketch = Sketch::default();
            for n in 0..size {
                sketch.add(hash(7, &n.to_le_bytes()));
                sketch.add(hash(7, &n.to_le_bytes()));
            }
            let off = sketch.estimate() as f64 - size as f64;
            assert!(off.abs() <= 4.0 * Sketch::STANDARD_ERROR * size as f64, "{size}: {}", sketch.estimate());
        }
    }
}
