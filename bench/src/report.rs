//! The table that a run prints: medians of both sides and how many times better ours is. Measures
//! nothing, and no figure fails a run.

use std::io::{self, Write};

/// Which way is up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates.
    More,
    /// Bytes.
    Less,
}

/// Writes rows as they come.
pub struct Report<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Report<'a> {
    /// Prints the head of the table.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn new(out: &'a mut dyn Write) -> io::Result<Self> {
        writeln!(out, "{:<34} {:>14} {:>14} {:>8}  unit", "row", "ours", "theirs", "ratio")?;
        Ok(Report { out })
    }

    /// Prints one row: the medians and the ratio, above 1 when ours is better.
    ///
    /// # Errors
    /// When the output is gone.
    pub fn row(
        &mut self,
        name: &str,
        unit: &str,
        better: Better,
        ours: Vec<f64>,
        theirs: Vec<f64>,
    ) -> io::Result<()> {
        let (Some(ours), Some(theirs)) = (median(ours), median(theirs)) else {
            return writeln!(self.out, "{name:<34} {:>14} {:>14} {:>8}  {unit}", "-", "-", "-");
        };
        let ratio = if better == Better::More { ours / theirs } else { theirs / ours };
        writeln!(self.out, "{name:<34} {ours:>14.2} {theirs:>14.2} {ratio:>7.1}x  {unit}")?;
        self.out.flush()
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
