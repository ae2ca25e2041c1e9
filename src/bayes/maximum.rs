//! The maximum of a log density by ascent.

use super::ln_density;
use crate::error::{Error, Result, finite};
use crate::gaussian::Gaussian;
use nalgebra::{DMatrix, DVector, SMatrix, SVector};
use num_dual::{Dual2SVec64, hessian};

/// More steps than this are a sign of a function without a maximum.
const MOST_STEPS: usize = 200;

/// A local maximum of a log density.
#[derive(Clone, Debug, PartialEq)]
pub struct Maximum {
    /// Where it is.
    pub at: DVector<f64>,
    /// The log density there.
    pub value: f64,
    /// The matrix of second derivatives there, negative definite.
    pub hessian: DMatrix<f64>,
    /// The way to it from the start, a row for each step.
    pub path: DMatrix<f64>,
}

impl Maximum {
    /// The normal with its mean at the maximum and the curvature's inverse for its covariance, N(θ̂, (−H)⁻¹): Laplace's approximation
    /// of the posterior, and a proposal for importance sampling.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] and [`Error::Overflow`] where −H is singular to working precision.
    ///
    /// Source: Tierney and Kadane (1986), *Journal of the American Statistical Association* 81, 82–86.
    pub fn laplace(&self) -> Result<Gaussian> {
        let d = self.at.len();
        let precision = Gaussian::new(DVector::zeros(d), -&self.hessian)?;
        let covariance = precision.solve_covariance(&DMatrix::identity(d, d))?;
        Gaussian::new(self.at.clone(), (&covariance + covariance.transpose()) * 0.5)
    }
}

/// The local maximum of `ln_joint` that Newton's ascent finds from `start`: the maximum a posteriori estimate if the function is
/// ln p(D, θ). Derivatives are those of dual numbers. In directions that curve upwards the curvature's sign is changed, and a step is
/// halved until it gains what its slope promises and stays where the function is a number.
///
/// It ends where another step promises at most `tolerance` nats, ½ gᵀ(−H)⁻¹g with gradient g and Hessian H, which is the same
/// in all units of θ: the maximum is then about √(2 · tolerance) posterior deviations away.
///
/// # Errors
/// [`Error::Domain`] unless the tolerance is positive, [`Error::NotFinite`], [`Error::LnDensity`] if the function is no number at the start;
/// [`Error::NoMaximum`] with the last θ if it has no maximum that is reached from there in 200 steps.
///
/// # Example
/// ```
/// use generative_models::num_dual::DualNum;
/// use generative_models::prelude::*;
/// // ln of a gamma density with shape 3 and rate 2, up to a constant.
/// let map = maximise([1.0], 1e-12, |theta| theta[0].ln() * 2.0 - theta[0] * 2.0)?;
/// assert!((map.at[0] - 1.0).abs() < 1e-6);
/// // The same density of φ = ln θ has another factor θ, and its maximum elsewhere.
/// let moved = maximise([0.0], 1e-12, |phi| phi[0] * 3.0 - phi[0].exp() * 2.0)?;
/// assert!((moved.at[0].exp() - 1.5).abs() < 1e-6);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Nocedal and Wright (2006), *Numerical Optimization*, 2nd ed., §§3.1 and 3.4.
pub fn maximise<const D: usize>(
    start: [f64; D],
    tolerance: f64,
    ln_joint: impl Fn(SVector<Dual2SVec64<D>, D>) -> Dual2SVec64<D>,
) -> Result<Maximum> {
    if D == 0 {
        return Err(Error::Shape { what: "the start", expected: "at least one entry".into(), found: "none".into() });
    }
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(Error::Domain { what: "the ascent's tolerance", value: tolerance, domain: "positive and finite" });
    }
    finite("the start", &start, |i| format!("entry {i}"))?;
    let mut theta = SVector::from(start);
    let mut path = vec![theta];
    let value_at = |theta: &SVector<f64, D>| ln_joint(theta.map(Dual2SVec64::from_re)).re;
    let (value, _, _) = hessian(&ln_joint, &theta);
    if ln_density("the log joint density", value, &dynamic(&theta))? == f64::NEG_INFINITY {
        let domain = "finite; start where prior and likelihood are positive";
        return Err(Error::Domain { what: "the log joint density at the start", value, domain });
    }
    loop {
        let (value, gradient, hessian) = hessian(&ln_joint, &theta);
        let steps = path.len() - 1;
        let failed =
            |gain, problem| Err(Error::NoMaximum { steps, at: theta.as_slice().to_vec(), value, gain, problem });
        let Some(Curvature { concave, step }) = Curvature::new(&gradient, &hessian) else {
            return failed(f64::NAN, "its derivatives are not finite; start elsewhere");
        };
        let slope = gradient.dot(&step);
        let gain = 0.5 * slope;
        if gain <= tolerance {
            if !concave {
                return failed(
                    gain,
                    "the function is flat or curves upwards there; start elsewhere, or fix what it does not depend on",
                );
            }
            let rows: Vec<_> = path.iter().map(|theta| dynamic(theta).transpose()).collect();
            let hessian = DMatrix::from_column_slice(D, D, hessian.as_slice());
            return Ok(Maximum { at: dynamic(&theta), value, hessian, path: DMatrix::from_rows(&rows) });
        }
        if steps == MOST_STEPS {
            return failed(
                gain,
                "it still rises; start closer to a maximum, if there is one, or allow a larger tolerance",
            );
        }
        // A gain below the rounding of the value cannot be seen in it.
        let enough = |length: f64, value_there: f64| {
            value_there.is_finite() && value_there - value >= 1e-4 * length * slope - 64.0 * f64::EPSILON * value.abs()
        };
        let lengths = (0..60).map(|halvings| 0.5_f64.powi(halvings));
        let next = lengths.map(|length| (length, theta + step * length)).find(|(l, next)| enough(*l, value_at(next)));
        match next {
            Some((_, next)) if next != theta => theta = next,
            _ => {
                return failed(
                    gain,
                    "no step along its slope raises it; allow a larger tolerance, or smooth the function",
                );
            }
        }
        path.push(theta);
    }
}

fn dynamic<const D: usize>(theta: &SVector<f64, D>) -> DVector<f64> {
    DVector::from_column_slice(theta.as_slice())
}

struct Curvature<const D: usize> {
    /// Whether the function curves downwards in all directions.
    concave: bool,
    /// |H|⁻¹ g, H with the signs of its eigenvalues dropped.
    step: SVector<f64, D>,
}

impl<const D: usize> Curvature<D> {
    /// None if an entry is not finite.
    fn new(gradient: &SVector<f64, D>, hessian: &SMatrix<f64, D, D>) -> Option<Self> {
        if !gradient.iter().chain(hessian).all(|v| v.is_finite()) {
            return None;
        }
        let eigen =
            DMatrix::from_column_slice(D, D, (-hessian).as_slice()).try_symmetric_eigen(f64::EPSILON, 10_000)?;
        let largest = eigen.eigenvalues.amax();
        // What is smaller is rounding, and a step along it has no scale.
        let floor = D as f64 * f64::EPSILON * largest;
        let concave = largest > 0.0 && eigen.eigenvalues.iter().all(|&l| l > floor);
        let scale = if largest > 0.0 { floor.max(1e-8 * largest) } else { 1.0 };
        let along = eigen.eigenvectors.tr_mul(&dynamic(gradient));
        let scaled = along.zip_map(&eigen.eigenvalues, |g, l| g / if concave { l } else { l.abs().max(scale) });
        let step = &eigen.eigenvectors * scaled;
        step.iter().all(|v| v.is_finite()).then(|| Self { concave, step: SVector::from_column_slice(step.as_slice()) })
    }
}
