//! [`Histogram`]: how values of the last ten seconds are distributed, in the bins that CouchDB uses:
//! eight for each power of two from 0.01 to 4 million. Never keeps a value. Reads no clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Seconds that a summary is about.
const WINDOW: u64 = 10;
/// A second's bins are filled while none of those before it is read any more.
const SLOTS: usize = WINDOW as usize + 2;
const BINS: usize = 230;
const LEAST: f64 = 0.01;
const MOST: f64 = 4_000_000.0;
/// Of the bin that [`LEAST`] is in: exponent and the first three bits of the mantissa.
const FIRST: u64 = LEAST.to_bits() >> 49;

/// Counts of the last seconds, and of all time.
pub struct Histogram {
    seconds: [Second; SLOTS],
    /// Values ever seen.
    all: AtomicU64,
    /// Thousandths of their sum.
    sum: AtomicU64,
}

struct Second {
    /// Which one this is, counted from 1.
    number: AtomicU64,
    bins: [AtomicU32; BINS],
}

impl Second {
    const fn new() -> Self {
        Second { number: AtomicU64::new(0), bins: [const { AtomicU32::new(0) }; BINS] }
    }
}

/// What a distribution is like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Values.
    pub n: u64,
    /// The least, by its bin.
    pub min: f64,
    /// The greatest, by its bin.
    pub max: f64,
    /// Arithmetic, geometric, harmonic.
    pub means: [f64; 3],
    /// Mean square of the distance from the mean.
    pub variance: f64,
    /// How lopsided it is.
    pub skewness: f64,
    /// How heavy its ends are.
    pub kurtosis: f64,
    /// For each of [`PERCENTILES`] the value below which so many lie.
    pub percentiles: [f64; 6],
    /// Values ever seen.
    pub all: u64,
    /// Their sum.
    pub sum: f64,
}

/// Names of percentiles, and the part of all values.
pub const PERCENTILES: [(u64, f64); 6] =
    [(50, 0.5), (75, 0.75), (90, 0.9), (95, 0.95), (99, 0.99), (999, 0.999)];

impl Histogram {
    pub const fn new() -> Self {
        Histogram {
            seconds: [const { Second::new() }; SLOTS],
            all: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Takes in a value that was seen in a second.
    pub fn add(&self, value: f64, second: u64) {
        let value = if value.is_nan() { LEAST } else { value.clamp(LEAST, MOST) };
        self.all.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1000.0) as u64, Ordering::Relaxed);
        let Some(slot) = self.seconds.get(second as usize % SLOTS) else { return };
        let (number, before) = (second + 1, slot.number.load(Ordering::Relaxed));
        // Whoever is first in a second empties what is left of an old one. A value that comes
        // meanwhile may be lost, which no summary shows.
        let first = before != number
            && slot
                .number
                .compare_exchange(before, number, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if first {
            slot.bins.iter().for_each(|bin| bin.store(0, Ordering::Relaxed));
        }
        if let Some(bin) = slot.bins.get(bin_of(value)) {
            bin.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was seen in the ten seconds that end with this one.
    pub fn summary(&self, second: u64) -> Summary {
        let mut counts = [0_u64; BINS];
        let last = second + 1;
        for slot in &self.seconds {
            let number = slot.number.load(Ordering::Relaxed);
            if number == 0 || number > last || last - number >= WINDOW {
                continue;
            }
            for (count, bin) in counts.iter_mut().zip(&slot.bins) {
                *count += u64::from(bin.load(Ordering::Relaxed));
            }
        }
        let summary = summarize(&counts);
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1000.0;
        Summary { all: self.all.load(Ordering::Relaxed), sum, ..summary }
    }
}

fn bin_of(value: f64) -> usize {
    ((value.to_bits() >> 49) - FIRST) as usize
}

/// Where a bin begins.
fn start(bin: usize) -> f64 {
    f64::from_bits((bin as u64 + FIRST) << 49)
}

fn middle(bin: usize) -> f64 {
    (start(bin) + start(bin + 1)) / 2.0
}

fn summarize(counts: &[u64]) -> Summary {
    let bins: Vec<(usize, f64)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(bin, count)| (bin, *count as f64))
        .collect();
    let (Some((first, _)), Some((last, _))) = (bins.first(), bins.last()) else {
        return Summary::default();
    };
    let all = |of: &dyn Fn(f64) -> f64| -> f64 {
        bins.iter().map(|(bin, count)| count * of(middle(*bin))).sum()
    };
    let n = all(&|_| 1.0);
    let mean = all(&|value| value) / n;
    let moment = |power| all(&|value: f64| (value - mean).powi(power)) / n;
    let variance = moment(2);
    let deviation = variance.sqrt();
    // Nothing to divide by where all values are the same.
    let scaled = |power: i32| match deviation.powi(power) {
        scale if scale < 1e-12 => None,
        scale => Some(moment(power) / scale),
    };
    Summary {
        n: n as u64,
        min: start(*first),
        max: start(*last + 1),
        means: [mean, (all(&f64::ln) / n).exp(), n / all(&|value| 1.0 / value)],
        variance,
        skewness: scaled(3).unwrap_or(0.0),
        kurtosis: scaled(4).map_or(0.0, |kurtosis| kurtosis - 3.0),
        percentiles: PERCENTILES.map(|(_, part)| percentile(&bins, n * part)),
        ..Summary::default()
    }
}

/// The value that so many lie below; within a bin they are taken to be evenly spread.
fn percentile(bins: &[(usize, f64)], mut rank: f64) -> f64 {
    for (bin, count) in bins {
        if rank < *count {
            return start(*bin) + (start(bin + 1) - start(*bin)) * rank / count;
        }
        rank -= count;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_couchdbs() {
        assert_eq!(bin_of(LEAST), 0);
        assert_eq!(bin_of(MOST), BINS - 1);
        for value in [0.01, 0.5, 1.0, 3.3, 1000.0, 4_000_000.0] {
            let bin = bin_of(value);
            assert!(start(bin) <= value && value < start(bin + 1), "{value}");
        }
    }

    #[test]
    fn a_summary_is_of_the_last_seconds() {
        let histogram = Histogram::new();
        assert_eq!(histogram.summary(0), Summary::default());
        for value in 1..=1000 {
            histogram.add(f64::from(value), 5);
        }
        let summary = histogram.summary(7);
        assert_eq!(summary.n, 1000);
        let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.07;
        assert!(near(summary.means[0], 500.5), "{summary:?}");
        for ((_, part), value) in PERCENTILES.iter().zip(summary.percentiles) {
            assert!(near(value, part * 1000.0), "{part} {value}");
        }
        assert!(summary.min <= 1.0 && summary.max >= 1000.0);
        assert!(near(summary.variance.sqrt(), 288.7) && summary.skewness.abs() < 0.1);
        assert_eq!(histogram.summary(14).n, 1000);
        let later = histogram.summary(15);
        assert_eq!((later.n, later.all, later.sum), (0, 1000, 500_500.0));
        histogram.add(1.0, 5 + SLOTS as u64);
        assert_eq!(histogram.summary(5 + SLOTS as u64).n, 1, "the old second is forgotten");
    }

    #[test]
    fn odd_values_have_a_place() {
        let histogram = Histogram::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
            histogram.add(value, 0);
        }
        let summary = histogram.summary(0);
        assert_eq!(summary.n, 6);
        assert!(summary.means.iter().all(|mean| mean.is_finite()));
    }
}
