//! Logistic regression with a normal prior.

use super::model::{Joint, Model, NormalPrior, check_latent, column, stacked};
use super::rows::{Rows, product, product_over_rows};
use crate::error::{Result, finite_matrix, in_range};
use crate::gaussian::{Density, Gaussian, LANES, Lanes, same_length};
use nalgebra::{DMatrix, DVector};
use pulp::Arch;
use std::f64::consts::{LN_2, LOG2_E};

/// Bayesian logistic regression: yₙ is 1 with probability 1/(1 + e^(−xₙᵀz)) and otherwise 0, with a normal prior of the coefficients
/// z. Neither posterior nor evidence is a closed form. An intercept is a column of ones in the data.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let x = dmatrix![1.0, -1.0; 1.0, 0.0; 1.0, 2.0];
/// let model = LogisticRegression::new(Gaussian::standard(2)?, x, &[false, true, true])?;
/// // At z = 0 every label has probability ½.
/// assert!((model.ln_likelihood(&dvector![0.0, 0.0])? + 3.0 * 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(model.gradient(&dvector![0.0, 0.0])?, dvector![0.5, 1.5]);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Bishop (2006), *Pattern Recognition and Machine Learning*, §4.3.2.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    prior: Gaussian,
    /// 1 for the label 1 and −1 for 0.
    signs: DVector<f64>,
    /// ±xₙ, so that yₙ has the probability σ(±xₙᵀz), σ(t) = 1/(1 + e^(−t)).
    signed: Rows,
}

impl LogisticRegression {
    /// The model of the labels given the rows of an N×d matrix.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::error::Error::Shape) if they disagree, [`Error::NotFinite`](crate::error::Error::NotFinite).
    pub fn new(prior: Gaussian, x: DMatrix<f64>, labels: &[bool]) -> Result<Self> {
        same_length("the columns of the data", prior.dim(), x.ncols())?;
        same_length("the labels", x.nrows(), labels.len())?;
        finite_matrix("the data", &x)?;
        let signs = DVector::from_iterator(labels.len(), labels.iter().map(|&label| if label { 1.0 } else { -1.0 }));
        let mut signed = x;
        signed.column_iter_mut().for_each(|mut column| column.component_mul_assign(&signs));
        Ok(Self { prior, signs, signed: Rows::new(&signed) })
    }

    /// Of each piece of rows and of each column z the Σₙ ln σ(±xₙᵀz), and what `of` makes of the rows ±xₙ and the σ(∓xₙᵀz).
    fn ln_sigmoids<T: Send>(
        &self,
        z: &DMatrix<f64>,
        of: impl Fn(&[Lanes], Vec<Lanes>) -> T + Sync,
    ) -> Result<Vec<(Vec<f64>, T)>> {
        check_latent(self.signed.dim(), z)?;
        // An exponential takes as long as some thirty multiplications.
        let pieces = self.signed.pieces(z.ncols() * (2 * z.nrows() + 30), |rows, x| {
            let mut t = product(x, z);
            // σ(−∞) = 0 and ln σ(∞) = 0: rows that are missing add nothing.
            let missing = t.len() / z.ncols().max(1) * LANES - rows.len();
            let last = t.len().saturating_sub(z.ncols());
            t[last..].iter_mut().for_each(|t| t[LANES - missing..].fill(f64::INFINITY));
            let sums = ln_sigmoids(&mut t, z.ncols());
            (sums, of(x, t))
        });
        in_range("the log likelihood", pieces.iter().flat_map(|(sums, _)| sums))?;
        Ok(pieces)
    }

    /// The probability of the label 1 in each row, given z.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::error::Error::Shape) unless z has length d, [`Error::NotFinite`](crate::error::Error::NotFinite),
    /// [`Error::Overflow`](crate::error::Error::Overflow).
    pub fn probabilities(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        check_latent(self.signed.dim(), z)?;
        let logits = self.signed.pieces(z.len(), |_, x| product(x, &column(z)));
        let logits = logits.concat().into_flattened();
        let logits = DVector::from_column_slice(&logits[..self.signs.len()]);
        in_range("the logits", &logits)?;
        Ok(logits.zip_map(&self.signs, |t, sign| 1.0 / (1.0 + (-sign * t).exp())))
    }
}

/// Of `columns` columns of t, row after row, the Σ ln σ(t), with σ(−t) left in the place of t.
fn ln_sigmoids(t: &mut [Lanes], columns: usize) -> Vec<f64> {
    // ln σ(t) = min(t, 0) − ln(1 + e) with e = e^(−|t|), which does not cancel. What the product of many 1 + e exceeds 1 by does
    // not either: one logarithm serves all rows of a piece, whose product stays within range.
    let (mut below, mut excess) = (vec![[0.0; LANES]; columns], vec![[0.0; LANES]; columns]);
    let sums = (&mut below, &mut excess);
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let (below, excess) = sums;
            for t in t.chunks_exact_mut(below.len().max(1)) {
                let sums = below.as_flattened_mut().iter_mut().zip(excess.as_flattened_mut());
                for (t, (below, excess)) in t.as_flattened_mut().iter_mut().zip(sums) {
                    let e = exp(-t.abs());
                    *below += if *t < 0.0 { *t } else { 0.0 };
                    *excess = f64::mul_add(1.0 + *excess, e, *excess);
                    *t = if *t > 0.0 { e } else { 1.0 } / (1.0 + e);
                }
            }
        },
    );
    let of_all = |excess: &Lanes| excess.iter().fold(0.0, |all, one| all + one * (1.0 + all)).ln_1p();
    below.iter().zip(&excess).map(|(below, excess)| below.iter().sum::<f64>() - of_all(excess)).collect()
}

/// eˣ for x ≤ 0, to a unit in the last place; 0 where it is below 2⁻¹⁰²², the smallest number with all of its digits.
///
/// The standard library's function is called for one number at a time, and would take half of an ascent's time; there is no other
/// that compiles to whatever instructions are found at run time. x = n ln 2 + r with |r| ≤ ½ ln 2, where the series of eʳ to r¹³
/// leaves 4e-18, and 2ⁿ is made of its bits.
#[inline(always)]
fn exp(x: f64) -> f64 {
    const LEAST: f64 = -708.396418532264; // −1022 ln 2
    const LN_2_REST: f64 = 2.3190468138462996e-17; // ln 2 beyond its last place
    const INTEGERS: f64 = 1.5 * (1_u64 << 52) as f64; // where one unit in the last place is 1
    let shifted = x.mul_add(LOG2_E, INTEGERS);
    let n = shifted - INTEGERS;
    let r = n.mul_add(-LN_2_REST, n.mul_add(-LN_2, x));
    let (square, c) = (r * r, INVERSE_FACTORIALS);
    let (mut even, mut odd) = (c[12], c[13]);
    for k in (2..12).step_by(2).rev() {
        (even, odd) = (even.mul_add(square, c[k]), odd.mul_add(square, c[k + 1]));
    }
    let series = 1.0 + square.mul_add(odd.mul_add(r, even), r);
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    if x < LEAST { 0.0 } else { series * power }
}

/// 1/k!
const INVERSE_FACTORIALS: [f64; 14] = {
    let (mut inverse, mut factorial, mut k) = ([1.0; 14], 1.0, 1);
    while k < 14 {
        factorial *= k as f64;
        inverse[k] = 1.0 / factorial;
        k += 1;
    }
    inverse
};

impl Model for LogisticRegression {
    fn latent_dim(&self) -> usize {
        self.signed.dim()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.ln_likelihood(z)? + self.prior.ln_pdf(z)?)
    }

    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(stacked(self.joint(&column(z))?.gradient))
    }

    /// Σₙ ln σ(±xₙᵀz) + ln N(z; m, P) and Σₙ σ(∓xₙᵀz) (±xₙ) − P⁻¹(z − m), for all z by two products of matrices.
    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        let mut joint = self.prior.joint(z)?;
        let (d, draws) = z.shape();
        for (ln_sigmoids, gradient) in self.ln_sigmoids(z, |x, t| product_over_rows(x, d, &t, draws))? {
            joint.ln_p += DVector::from_vec(ln_sigmoids);
            joint.gradient += gradient;
        }
        Ok(joint)
    }
}

impl NormalPrior for LogisticRegression {
    fn prior(&self) -> &Gaussian {
        &self.prior
    }

    /// Σₙ (yₙ xₙᵀz − ln(1 + e^(xₙᵀz))) = Σₙ ln σ(±xₙᵀz)
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64> {
        let pieces = self.ln_sigmoids(&column(z), |_, _| ())?;
        Ok(pieces.iter().flat_map(|(sums, ())| sums).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::dmatrix;

    #[test]
    fn the_exponential_is_right_to_a_unit_in_the_last_place() {
        // The standard library's is off by half a unit.
        let units = |x: f64| exp(x).to_bits().abs_diff(x.exp().to_bits());
        let n = 1_000_000;
        let all = (0..n).map(|i| -708.39 * (i as f64 + 0.37) / n as f64);
        let near_zero = (0..n).map(|i| -(i as f64 + 0.37) / n as f64);
        let tiny = (1..1074).map(|i| -(0.5_f64.powi(i)));
        let worst = all.chain(near_zero).chain(tiny).map(units).max();
        assert_eq!(worst, Some(1));
        assert_eq!((exp(0.0), exp(-0.0), exp(-708.4), exp(-1e300), exp(f64::NEG_INFINITY)), (1.0, 1.0, 0.0, 0.0, 0.0));
        assert!(exp(-708.3964) >= f64::MIN_POSITIVE && exp(f64::NAN).is_nan());
    }

    #[test]
    fn far_logits_neither_overflow_nor_cancel() {
        let model = |t: f64| {
            let prior = Gaussian::standard(1).unwrap();
            LogisticRegression::new(prior, dmatrix![t; -t; 1.0], &[true, true, true]).unwrap()
        };
        let z = DVector::repeat(1, 1.0);
        let likelihood = |t: f64| model(t).ln_likelihood(&z).unwrap();
        let one = -(-1.0_f64).exp().ln_1p();
        for t in [40.0, 800.0, 1e10, 1e300] {
            assert_eq!(likelihood(t), one - t, "{t}");
            // The prior's −z, the first row's 0, the second one's −t and σ(−1).
            assert!((model(t).gradient(&z).unwrap()[0] / (-1.0 - t + 1.0 / (1.0 + 1.0_f64.exp())) - 1.0).abs() < 1e-15);
        }
        // 2e⁻³⁰ = 2e-13 is left where the last place is 4e-15.
        assert!((likelihood(30.0) - (one - 30.0 - 2.0 * (-30.0_f64).exp())).abs() < 1e-14);
        let refusal = |model: LogisticRegression, z: f64| model.ln_likelihood(&DVector::repeat(1, z)).unwrap_err();
        assert!(refusal(model(1e300), 1e300).to_string().contains("the log likelihood"));
        assert!(model(1e300).probabilities(&DVector::repeat(1, 1e300)).unwrap_err().to_string().contains("the logits"));
    }
}
