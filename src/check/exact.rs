//! A closed form against a value without random error.

use super::{Report, Verdict, farthest, verdict};
use nalgebra::{DMatrix, DVector};

/// A closed form against a value that shares no code with it and has no random error: quadrature, finite differences, another
/// algorithm.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let report = Exact { claim: "M1", name: "a sum", closed_form: 5050.0, oracle: (1..=100).sum::<i32>() as f64, error: 0.0, discrepancy: 1.0 }.check();
/// assert!(report.stands());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Exact<'a, C, O> {
    /// The id of the claim that is checked.
    pub claim: &'a str,
    /// What is checked; with the claim it is the check's name.
    pub name: &'a str,
    /// The number, vector or matrix to be held against the oracle.
    pub closed_form: C,
    /// The same by other means.
    pub oracle: O,
    /// How far the oracle may be from the truth, per entry: its truncation and rounding error.
    pub error: f64,
    /// The smallest absolute error that must be caught; at least twice `error`.
    pub discrepancy: f64,
}

impl<C: Entries, O: Entries> Exact<'_, C, O> {
    /// Compares entry by entry; stands if all agree. The report shows the largest entry, or the one that differs most where one
    /// differs by more than the oracle's error.
    pub fn check(&self) -> Report {
        self.by_entries().report(Verdict::Consistent)
    }

    /// The same for a formula that is known to be wrong; stands if some entry is refuted.
    pub fn expect_refuted(&self) -> Report {
        self.by_entries().report(Verdict::Refuted)
    }

    fn by_entries(&self) -> Exact<'_, &dyn Entries, &dyn Entries> {
        let Self { claim, name, error, discrepancy, .. } = *self;
        Exact { claim, name, closed_form: &self.closed_form, oracle: &self.oracle, error, discrepancy }
    }
}

impl Exact<'_, &dyn Entries, &dyn Entries> {
    fn report(&self, expected: Verdict) -> Report {
        let (closed_form, oracle) = (self.closed_form.entries(), self.oracle.entries());
        let same_shape = self.closed_form.shape() == self.oracle.shape() && !oracle.is_empty();
        let pairs: Vec<(f64, f64)> = oracle.into_iter().zip(closed_form).filter(|_| same_shape).collect();
        let farthest = farthest(pairs.iter().copied());
        let agree = (farthest.0 - farthest.1).abs() <= self.error;
        // Which of the entries that agree differs most is a matter of rounding, and so of the processor.
        let largest = pairs.into_iter().max_by(|(_, c), (_, d)| c.abs().total_cmp(&d.abs())).filter(|_| agree);
        let (estimate, closed_form) = largest.unwrap_or(farthest);
        Report {
            claim: self.claim.into(),
            name: self.name.into(),
            method: "exact".into(),
            verdict: verdict(estimate - closed_form, (self.error, self.error), 2.0 * self.error, self.discrepancy),
            expected,
            estimate,
            closed_form,
            radius_below: self.error,
            radius_above: self.error,
            samples: 0,
            discrepancy: self.discrepancy,
            miss: 0.0,
            false_alarm: 0.0,
            guaranteed: true,
        }
        .published()
    }
}

/// A number, vector or matrix, entry by entry.
pub trait Entries {
    /// The entries, column by column.
    fn entries(&self) -> Vec<f64>;
    /// The numbers of rows and columns.
    fn shape(&self) -> (usize, usize);
}

impl Entries for f64 {
    fn entries(&self) -> Vec<f64> {
        vec![*self]
    }
    fn shape(&self) -> (usize, usize) {
        (1, 1)
    }
}

impl Entries for DVector<f64> {
    fn entries(&self) -> Vec<f64> {
        self.as_slice().to_vec()
    }
    fn shape(&self) -> (usize, usize) {
        (self.len(), 1)
    }
}

impl Entries for DMatrix<f64> {
    fn entries(&self) -> Vec<f64> {
        self.as_slice().to_vec()
    }
    fn shape(&self) -> (usize, usize) {
        DMatrix::shape(self)
    }
}

impl<T: Entries> Entries for &T {
    fn entries(&self) -> Vec<f64> {
        (**self).entries()
    }
    fn shape(&self) -> (usize, usize) {
        (**self).shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{dmatrix, dvector};

    fn check(closed_form: DVector<f64>, oracle: DVector<f64>) -> Report {
        Exact { claim: "X", name: "entries", closed_form, oracle, error: 1e-3, discrepancy: 1e-2 }.check()
    }

    #[test]
    fn every_entry_is_compared() {
        assert!(check(dvector![1.0, 2.0], dvector![1.0005, 1.9995]).stands());
        let report = check(dvector![1.0, 2.0, 3.0], dvector![1.0, 2.1, 3.01]);
        assert_eq!((report.verdict, report.closed_form, report.estimate), (Verdict::Refuted, 2.0, 2.1));
        for (closed_form, oracle) in [
            (dvector![1.0, f64::NAN], dvector![9.0, 2.0]),
            (dvector![1.0, 2.0], dvector![f64::NAN, 2.0]),
            (dvector![1.0, f64::INFINITY], dvector![1.0, f64::INFINITY]),
            (dvector![1.0], dvector![1.0, 1.0]),
            (DVector::zeros(0), DVector::zeros(0)),
        ] {
            assert_eq!(check(closed_form, oracle).verdict, Verdict::NonFinite);
        }
    }

    #[test]
    fn a_row_is_no_column() {
        let (closed_form, oracle) = (dmatrix![1.0, 2.0], dmatrix![1.0; 2.0]);
        let transposed = Exact { claim: "X", name: "shapes", closed_form, oracle, error: 0.0, discrepancy: 1.0 };
        assert_eq!(transposed.check().verdict, Verdict::NonFinite);
    }

    #[test]
    fn an_error_too_large_or_no_error_is_no_pass() {
        for (error, discrepancy, verdict) in [
            (0.0, 0.0, Verdict::Consistent),
            (1.0, 1.0, Verdict::Underpowered),
            (1.0, 0.0, Verdict::Underpowered),
            (f64::INFINITY, 1.0, Verdict::Underpowered),
            (-1.0, 1.0, Verdict::NonFinite),
            (f64::NAN, 1.0, Verdict::NonFinite),
            (1e-9, f64::NAN, Verdict::NonFinite),
            (1e-9, f64::INFINITY, Verdict::NonFinite),
        ] {
            let check = Exact { claim: "X", name: "error", closed_form: 1.0, oracle: 1.0, error, discrepancy };
            assert_eq!(check.check().verdict, verdict, "{error} {discrepancy}");
            assert!(!check.expect_refuted().stands());
        }
    }
}
