//! Functions and densities at points, for the columns of a frame.

use crate::error::Result;
use crate::gaussian::Density;
use nalgebra::DVector;

/// `n` evenly spaced numbers from `from` to `to`, both ends included; `from` alone for n = 1.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// assert_eq!(linspace(-1.0, 1.0, 5), [-1.0, -0.5, 0.0, 0.5, 1.0]);
/// let x = linspace(-3.0, 3.0, 121);
/// let parabola = df!("x" => &x, "x²" => values(&x, |x| x * x))?;
/// let figure = Figure::new("A parabola").line(&parabola, "x", "x²");
/// # assert!(figure.png().is_ok());
/// # Ok::<(), Error>(())
/// ```
pub fn linspace(from: f64, to: f64, n: usize) -> Vec<f64> {
    let last = n.saturating_sub(1);
    // The last one without rounding.
    let at = |i: usize| if i == last && n > 1 { to } else { from + (to - from) * i as f64 / last.max(1) as f64 };
    (0..n).map(at).collect()
}

/// `n` numbers from `from` to `to`, both positive and included, with one ratio of neighbours: evenly spaced on a logarithmic axis.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let n = values(&geomspace(1.0, 1000.0, 4), f64::round);
/// assert_eq!(n, [1.0, 10.0, 100.0, 1000.0]);
/// ```
pub fn geomspace(from: f64, to: f64, n: usize) -> Vec<f64> {
    let mut x = values(&linspace(from.ln(), to.ln(), n), f64::exp);
    // The ends without rounding.
    if let Some(last) = x.last_mut() {
        *last = to;
    }
    if let Some(first) = x.first_mut() {
        *first = from;
    }
    x
}

/// f at each of the points.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// assert_eq!(values(&[1.0, 100.0], f64::log10), [0.0, 2.0]);
/// ```
pub fn values(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|&x| f(x)).collect()
}

/// The density of a one-dimensional distribution at each of the points.
///
/// # Errors
/// Those of [`Density::ln_pdf`]: [`Error::Shape`](crate::error::Error::Shape) unless the distribution has one dimension.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::univariate(1.0, 4.0)?;
/// assert_eq!(densities(&p, &[1.0, 3.0])?, [p.pdf(&dvector![1.0])?, p.pdf(&dvector![3.0])?]);
/// # Ok::<(), Error>(())
/// ```
pub fn densities(p: &impl Density, x: &[f64]) -> Result<Vec<f64>> {
    x.iter().map(|&x| p.pdf(&DVector::from_element(1, x))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian::Gaussian;

    #[test]
    fn both_ends_are_there_to_the_last_bit() {
        assert!(linspace(0.0, 1.0, 0).is_empty());
        assert_eq!(linspace(2.5, 7.0, 1), [2.5]);
        for (from, to) in [(0.1, 0.7), (-3.6, 3.6), (1e-9, 1e9), (5.0, -5.0), (2.0, 2.0)] {
            for n in [2, 3, 241] {
                let x = linspace(from, to, n);
                assert_eq!((x.len(), x[0], x[n - 1]), (n, from, to));
                let step = (to - from) / (n - 1) as f64;
                assert!(x.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 1e-15 * from.abs().max(to.abs())));
            }
        }
    }

    #[test]
    fn one_ratio() {
        assert!(geomspace(1.0, 2.0, 0).is_empty());
        assert_eq!(geomspace(0.3, 7.0, 1), [0.3]);
        let x = geomspace(1e-3, 3e5, 61);
        let ratio = 3e8_f64.powf(1.0 / 60.0);
        assert_eq!((x.len(), x[0], x[60]), (61, 1e-3, 3e5));
        assert!(x.windows(2).all(|pair| (pair[1] / pair[0] / ratio - 1.0).abs() < 1e-13));
        assert!(geomspace(-1.0, 1.0, 3)[1].is_nan());
    }

    #[test]
    fn a_density_of_two_dimensions_has_no_curve() {
        assert!(densities(&Gaussian::standard(2).unwrap(), &[0.0]).unwrap_err().to_string().contains("length 2"));
        assert!(densities(&Gaussian::standard(2).unwrap(), &[]).is_ok_and(|none| none.is_empty()));
    }
}
