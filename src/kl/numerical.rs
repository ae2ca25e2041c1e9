//! Divergences without a closed form: quadrature on the line, and Monte Carlo.

use crate::error::{Error, Result};
use crate::gaussian::{Density, Point, same_length};
use crate::monte_carlo::{Estimate, Generator, chunks};
use crate::quadrature::{Quadrature, check_line, integrate, integrate_half_line};
use nalgebra::DVector;
use rand_distr::Distribution;
use std::cmp::Ordering;

/// D(q‖p) = ∫ q ln(q/p) for densities on the line, by quadrature to the absolute error `tolerance`; ∞ where q has mass on a range on which p
/// is zero. A density may be infinite at 0, where numbers are dense, and nowhere else.
///
/// q lives on lengths of about `scale` around `center`. The range is split where a density begins or ends and where the two cross, as far
/// as that shows at points a thirtieth of the scale apart, and the more the farther out they are; that ∫ q = 1 is checked to the same tolerance.
///
/// # Errors
/// Those of [`integrate_half_line`], so [`Error::NotConverged`] also for tails so heavy that the divergence is infinite, and if ∫ q is not
/// 1, as for a discrete family; [`Error::Shape`] unless both are one-dimensional.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// use generative_models::statrs::distribution::Uniform;
/// let (q, p) = (Univariate(Uniform::new(0.0, 1.0)?), Gaussian::standard(1)?);
/// let by_quadrature = kl_by_quadrature(&q, &p, 0.5, 1.0, 1e-10)?;
/// assert_eq!(format!("{:.4}", by_quadrature.value), "1.0856");
/// assert!((by_quadrature.value - kl(&q, &p)?).abs() <= by_quadrature.error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn kl_by_quadrature(
    q: &impl Density,
    p: &impl Density,
    center: f64,
    scale: f64,
    tolerance: f64,
) -> Result<Quadrature> {
    let pair = Pair { q, p };
    let pieces = pair.pieces(center, scale)?;
    if pieces.infinite {
        return Ok(Quadrature { value: f64::INFINITY, error: 0.0 });
    }
    pieces.check_mass("∫ q", tolerance, |x| Ok(pair.ln_q(x)?.exp()))?;
    let of_pieces = pieces.integrals(tolerance, |x| {
        let ln_q = pair.ln_q(x)?;
        Ok(if ln_q == f64::NEG_INFINITY { 0.0 } else { ln_q.exp() * (ln_q - pair.ln_p(x)?) })
    })?;
    Ok(sum(of_pieces))
}

/// TV(q, p) = ½ ∫ |q − p| for densities on the line, by quadrature to the absolute error `tolerance`.
///
/// Both live on lengths of about `scale` around `center`. The range is split as by [`kl_by_quadrature`], so that q − p has one sign on each
/// piece. The pieces with q > p and those with q < p must have the same integral; by as much as they differ the error is larger.
///
/// # Errors
/// Those of [`integrate_half_line`]; [`Error::NotConverged`] if ∫ q or ∫ p is not 1, or if the two sides differ by more than the tolerance;
/// [`Error::Shape`] unless both are one-dimensional.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// use generative_models::statrs::distribution::Cauchy;
/// let (q, p) = (Univariate(Cauchy::new(0.0, 1.0)?), Univariate(Cauchy::new(2.0, 1.0)?));
/// let tv = total_variation_by_quadrature(&q, &p, 1.0, 1.0, 1e-10)?;
/// // They cross at 1 alone: F_q(1) − F_p(1), that is ¾ − ¼.
/// assert!((tv.value - 0.5).abs() <= tv.error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn total_variation_by_quadrature(
    q: &impl Density,
    p: &impl Density,
    center: f64,
    scale: f64,
    tolerance: f64,
) -> Result<Quadrature> {
    let pair = Pair { q, p };
    let pieces = pair.pieces(center, scale)?;
    pieces.check_mass("∫ q", tolerance, |x| Ok(pair.ln_q(x)?.exp()))?;
    pieces.check_mass("∫ p", tolerance, |x| Ok(pair.ln_p(x)?.exp()))?;
    let of_pieces = pieces.integrals(tolerance, |x| Ok(pair.ln_q(x)?.exp() - pair.ln_p(x)?.exp()))?;
    let both_sides = sum(of_pieces.iter().map(|piece| Quadrature { value: piece.value.abs(), error: piece.error }));
    let between_sides = sum(of_pieces).value.abs();
    let (value, error) = (0.5 * both_sides.value, 0.5 * (both_sides.error + between_sides));
    if error > tolerance {
        return Err(Error::NotConverged { what: "the total variation distance", value, error, tolerance });
    }
    Ok(Quadrature { value, error })
}

fn sum(pieces: impl IntoIterator<Item = Quadrature>) -> Quadrature {
    let zero = Quadrature { value: 0.0, error: 0.0 };
    let plus = |s: Quadrature, q: Quadrature| Quadrature { value: s.value + q.value, error: s.error + q.error };
    pieces.into_iter().fold(zero, plus)
}

/// Two densities on the line.
struct Pair<'a, Q, P> {
    q: &'a Q,
    p: &'a P,
}

/// Which of the two densities is positive at a point, and which is the larger one.
#[derive(Clone, Copy, PartialEq)]
struct State {
    q: bool,
    p: bool,
    order: Option<Ordering>,
}

impl<Q: Density, P: Density> Pair<'_, Q, P> {
    fn ln_q(&self, x: f64) -> Result<f64> {
        self.q.ln_pdf(&DVector::from_element(1, x))
    }

    fn ln_p(&self, x: f64) -> Result<f64> {
        self.p.ln_pdf(&DVector::from_element(1, x))
    }

    fn state(&self, x: f64) -> Result<State> {
        let (ln_q, ln_p) = (self.ln_q(x)?, self.ln_p(x)?);
        // What is left of a difference below the rounding of both has no sign.
        let equal = (ln_q - ln_p).abs() <= 16.0 * f64::EPSILON * (1.0 + ln_q.abs());
        let order = if equal { Some(Ordering::Equal) } else { ln_q.partial_cmp(&ln_p) };
        Ok(State { q: ln_q > f64::NEG_INFINITY, p: ln_p > f64::NEG_INFINITY, order })
    }

    fn pieces(&self, center: f64, scale: f64) -> Result<Pieces> {
        check_line(center, scale)?;
        let grid: Vec<f64> = (-1280..=1280).map(|i| center + scale * (f64::from(i) / 32.0).sinh()).collect();
        let mut breaks = vec![center];
        for step in grid.windows(2) {
            breaks.extend(self.changes(step[0], step[1])?);
        }
        // A piece that is long beside the scale would hide the densities at one of its ends.
        let farthest = breaks.iter().fold(0.0, |far: f64, x| far.max((x - center).abs()));
        for k in 0..=40 {
            let distance = scale * 4.0_f64.powi(k);
            breaks.extend([center - distance, center + distance]);
            if distance >= farthest {
                break;
            }
        }
        breaks.sort_by(f64::total_cmp);
        breaks.dedup();
        let mut infinite = false;
        for piece in [&grid[..1], &breaks, &grid[grid.len() - 1..]].concat().windows(2) {
            if let Some(middle) = between(piece[0], piece[1]) {
                let state = self.state(middle)?;
                infinite |= state.q && !state.p;
            }
        }
        Ok(Pieces { center, scale, breaks, infinite })
    }

    /// Where between a and b one state ends and the next begins, to the last place.
    fn changes(&self, mut a: f64, b: f64) -> Result<Vec<f64>> {
        let mut changes = vec![];
        let last = self.state(b)?;
        loop {
            let first = self.state(a)?;
            // An order that rounding decides may change at every place.
            if first == last || changes.len() > 4 {
                return Ok(changes);
            }
            let (mut same, mut other) = (a, b);
            while let Some(middle) = between(same, other) {
                if self.state(middle)? == first { same = middle } else { other = middle }
            }
            changes.push(other);
            a = other;
        }
    }
}

/// The middle of two numbers, if there are any between them.
fn between(a: f64, b: f64) -> Option<f64> {
    let middle = 0.5 * a + 0.5 * b;
    (a < middle && middle < b).then_some(middle)
}

/// The line in pieces on which two densities have one state.
struct Pieces {
    center: f64,
    scale: f64,
    breaks: Vec<f64>,
    /// Whether q is positive on one on which p is zero.
    infinite: bool,
}

impl Pieces {
    /// The integrals over the pieces in their order, whose errors add up to the tolerance at most.
    fn integrals(&self, tolerance: f64, f: impl Fn(f64) -> Result<f64>) -> Result<Vec<Quadrature>> {
        let tolerance = tolerance / (self.breaks.len() + 1) as f64;
        let (first, last) = (self.breaks[0], self.breaks[self.breaks.len() - 1]);
        let length = |end: f64| (end - self.center).abs().max(self.scale);
        let mut integrals = vec![integrate_half_line(first, -length(first), tolerance, &f)?];
        // At a single point a density may be anything.
        for piece in self.breaks.windows(2).filter(|piece| between(piece[0], piece[1]).is_some()) {
            integrals.push(integrate(piece[0], piece[1], tolerance, &f)?);
        }
        integrals.push(integrate_half_line(last, length(last), tolerance, &f)?);
        Ok(integrals)
    }

    /// Refuses a density that does not integrate to one: a peak that no point met, or a family that has no density.
    fn check_mass(&self, what: &'static str, tolerance: f64, pdf: impl Fn(f64) -> Result<f64>) -> Result<()> {
        let mass = sum(self.integrals(tolerance, pdf)?);
        let (value, error) = (mass.value, (mass.value - 1.0).abs());
        if error <= tolerance.max(mass.error) {
            return Ok(());
        }
        Err(Error::NotConverged { what, value, error, tolerance })
    }
}

/// D(q‖p) = E_q ln(q/p), as the mean of ln q(x) − ln p(x) over samples x of q, with its standard error; `name` is the seed, as of [`estimate`](crate::monte_carlo::estimate).
///
/// # Errors
/// [`Error::Shape`] unless the dimensions agree, [`Error::Domain`] if a sample has ln q(x)/p(x) = ∞: p is zero where q has mass, and
/// D is ∞.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let q = Gaussian::univariate(0.0, 1.0)?;
/// let p = Mixture::new([0.5, 0.5], vec![Gaussian::univariate(-1.0, 1.0)?, Gaussian::univariate(1.0, 1.0)?])?;
/// let e = kl_by_monte_carlo("a normal to a mixture", 100_000, &q, &p)?;
/// let exact = kl_by_quadrature(&q, &p, 0.0, 1.0, 1e-10)?;
/// assert!((e.mean() - exact.value).abs() < 6.0 * e.standard_error());
/// # Ok::<(), Error>(())
/// ```
pub fn kl_by_monte_carlo<X: Point>(
    name: &str,
    samples: u64,
    q: &(impl Density + Distribution<X> + Sync),
    p: &(impl Density + Sync),
) -> Result<Estimate> {
    same_length("the second distribution's points", q.dim(), p.dim())?;
    let of_chunk = |rng: &mut Generator, length| {
        let ratios = ln_ratios_at_samples(q, p, length, rng);
        (Estimate::of(&ratios), ratios.contains(&f64::INFINITY))
    };
    let merge = |(a, infinite): (Estimate, bool), (b, too)| (a.merge(b), infinite | too);
    let (estimate, infinite) = chunks(name, samples, of_chunk).fold((Estimate::default(), false), merge);
    if infinite {
        let domain = "finite; p is zero where q has mass, and D(q‖p) = ∞";
        return Err(Error::Domain { what: "ln q/p at a sample of q", value: f64::INFINITY, domain });
    }
    Ok(estimate)
}

/// How many samples go through both densities together: the cache holds them.
const AT_ONCE: usize = 256;

/// ln q(x)/p(x) at samples x of q, many at once; NaN if one of them has no density that is known.
fn ln_ratios_at_samples<X: Point>(
    q: &(impl Density + Distribution<X>),
    p: &impl Density,
    samples: u64,
    rng: &mut Generator,
) -> Vec<f64> {
    let samples = samples as usize;
    let mut ratios = || {
        let mut ratios = Vec::with_capacity(samples);
        while ratios.len() < samples {
            let count = AT_ONCE.min(samples - ratios.len());
            let rows = q.sample_rows(count, rng)?;
            ratios.extend(&(q.ln_pdf_rows(&rows)? - p.ln_pdf_rows(&rows)?));
        }
        Ok::<_, Error>(ratios)
    };
    ratios().unwrap_or_else(|_| vec![f64::NAN; samples])
}

/// TV(q, p) = E_q (1 − p/q)⁺, as the mean over samples x of q, with its standard error; `name` is the seed, as of [`estimate`](crate::monte_carlo::estimate). The values
/// lie between 0 and 1.
///
/// # Errors
/// [`Error::Shape`] unless the dimensions agree.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (q, p) = (Gaussian::standard(2)?, Gaussian::new(dvector![1.0, 0.0], DMatrix::identity(2, 2))?);
/// let e = total_variation_by_monte_carlo("two bells", 100_000, &q, &p)?;
/// assert!((e.mean() - total_variation(&q, &p)?).abs() < 6.0 * e.standard_error());
/// # Ok::<(), Error>(())
/// ```
pub fn total_variation_by_monte_carlo<X: Point>(
    name: &str,
    samples: u64,
    q: &(impl Density + Distribution<X> + Sync),
    p: &(impl Density + Sync),
) -> Result<Estimate> {
    same_length("the second distribution's points", q.dim(), p.dim())?;
    let of_chunk = |rng: &mut Generator, length| {
        let above = |ratio: f64| (-(-ratio).exp_m1()).clamp(0.0, 1.0);
        Estimate::of(&ln_ratios_at_samples(q, p, length, rng).into_iter().map(above).collect::<Vec<f64>>())
    };
    Ok(chunks(name, samples, of_chunk).fold(Estimate::default(), Estimate::merge))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian::Gaussian;
    use crate::kl::{kl, total_variation};
    use crate::mixture::Mixture;
    use crate::univariate::Univariate;
    use nalgebra::{DMatrix, dvector};
    use statrs::distribution::{Bernoulli, Beta, Cauchy, Exp, Gamma, Laplace, Normal, Poisson, Uniform};

    macro_rules! member {
        ($family:ident, $($parameter:expr),*) => { Univariate($family::new($($parameter),*).unwrap()) };
    }

    fn normal(mean: f64, variance: f64) -> Gaussian {
        Gaussian::univariate(mean, variance).unwrap()
    }

    #[track_caller]
    fn agree(found: Result<Quadrature>, closed_form: f64, tolerance: f64) {
        let found = found.unwrap();
        let missing = (found.value - closed_form).abs();
        // The closed form's own rounding beside the quadrature's.
        assert!(
            missing <= found.error + 1e-14 && found.error <= tolerance,
            "{found:?} for {closed_form}, off by {missing:e}"
        );
    }

    #[test]
    fn quadrature_agrees_with_the_closed_forms() {
        let tolerance = 1e-10;
        macro_rules! pairs {
            ($($q:expr, $p:expr, $center:expr, $scale:expr;)*) => {$(
                agree(kl_by_quadrature(&$q, &$p, $center, $scale, tolerance), kl(&$q, &$p).unwrap(), tolerance);
            )*};
        }
        pairs! {
            normal(0.0, 1.0), normal(1.0, 4.0), 0.0, 1.0;
            normal(10.0, 1e-4), normal(10.0, 4e-4), 10.0, 1e-2;
            normal(0.0, 1.0), normal(0.0, 1.0), 0.0, 1.0;
            normal(0.0, 1.0), normal(0.0, 1.00000001), 0.0, 1.0;
            member!(Uniform, 0.0, 1.0), normal(0.0, 0.01), 0.0, 1.0;
            member!(Uniform, 0.0, 1.0), member!(Uniform, -0.3, 7.0), 0.0, 1.0;
            member!(Exp, 2.0), member!(Exp, 0.1), 1.0, 0.5;
            member!(Gamma, 0.5, 1.0), member!(Gamma, 2.0, 3.0), 0.5, 0.5;
            member!(Beta, 2.0, 3.0), member!(Beta, 4.0, 1.5), 0.4, 0.2;
            member!(Cauchy, 0.0, 1.0), member!(Cauchy, 3.0, 0.2), 0.0, 1.0;
        }
        macro_rules! distances {
            ($($q:expr, $p:expr, $center:expr, $scale:expr;)*) => {$(
                let found = total_variation_by_quadrature(&$q, &$p, $center, $scale, tolerance);
                agree(found, total_variation(&$q, &$p).unwrap(), tolerance);
            )*};
        }
        distances! {
            normal(0.0, 1.0), normal(1.0, 4.0), 0.0, 1.0;
            normal(0.0, 1.0), normal(100.0, 4.0), 50.0, 10.0;
            normal(0.0, 1.0), normal(0.0, 1.0), 0.0, 1.0;
            normal(0.0, 1.0), normal(1e-3, 1.00000001), 0.0, 1.0;
            member!(Uniform, 0.0, 1.0), member!(Uniform, 0.5, 7.0), 0.0, 1.0;
            member!(Exp, 2.0), member!(Exp, 0.1), 1.0, 0.5;
        }
    }

    #[test]
    fn no_mass_under_q_is_infinite() {
        for (q, p) in [((0.0, 1.0), (0.5, 2.0)), ((0.0, 1.0), (3.0, 4.0)), ((-5.0, 5.0), (-4.9, 5.0))] {
            let [q, p] = [q, p].map(|(a, b)| member!(Uniform, a, b));
            assert_eq!(kl_by_quadrature(&q, &p, 0.0, 1.0, 1e-9).unwrap().value, f64::INFINITY);
            let refusal = kl_by_monte_carlo("no mass", 1000, &q, &p).unwrap_err().to_string();
            assert!(
                refusal.contains("ln q/p at a sample of q is inf; it must be finite; p is zero where q has"),
                "{refusal}"
            );
        }
        let (q, p) = (normal(0.0, 1.0), member!(Exp, 1.0));
        assert_eq!(kl_by_quadrature(&q, &p, 0.0, 1.0, 1e-9).unwrap().value, f64::INFINITY);
        assert!(kl_by_quadrature(&p, &q, 0.0, 1.0, 1e-9).unwrap().value.is_finite());
        // At a single point p may be zero: Beta(2, 2) at 0, which the grid meets.
        let (q, p) = (member!(Uniform, 0.0, 1.0), member!(Beta, 2.0, 2.0));
        agree(kl_by_quadrature(&q, &p, 0.0, 1.0, 1e-9), 2.0 - 6.0_f64.ln(), 1e-9);
    }

    #[test]
    fn what_cannot_be_integrated_is_no_value() {
        let message = |found: Result<Quadrature>| found.unwrap_err().to_string();
        // A divergence that is infinite by its tails.
        let (cauchy, bell) = (member!(Cauchy, 0.0, 1.0), normal(0.0, 1.0));
        let refusal = message(kl_by_quadrature(&cauchy, &bell, 0.0, 1.0, 1e-6));
        assert!(refusal.contains("above the tolerance"), "{refusal}");
        assert!(kl_by_quadrature(&bell, &cauchy, 0.0, 1.0, 1e-9).is_ok());
        // Probabilities are no densities, and a peak between all points is none either.
        let poisson = member!(Poisson, 3.0);
        assert!(message(kl_by_quadrature(&poisson, &poisson, 3.0, 2.0, 1e-6)).contains("above the tolerance"));
        let (coin, far) = (member!(Bernoulli, 0.5), normal(1e5 + 0.3, 1e-8));
        let refusal = message(total_variation_by_quadrature(&bell, &coin, 0.0, 1.0, 1e-6));
        assert!(refusal.contains("above the tolerance"), "{refusal}");
        assert!(message(kl_by_quadrature(&far, &bell, 0.0, 1.0, 1e-6)).contains("∫ q is"));
        assert!(message(total_variation_by_quadrature(&bell, &far, 0.0, 1.0, 1e-6)).contains("∫ p is"));
        let plane = Gaussian::standard(2).unwrap();
        assert!(message(kl_by_quadrature(&plane, &bell, 0.0, 1.0, 1e-6)).contains("the point: expected length 2"));
        for (center, scale, tolerance) in [
            (f64::NAN, 1.0, 1e-9),
            (0.0, 0.0, 1e-9),
            (0.0, -1.0, 1e-9),
            (0.0, f64::INFINITY, 1e-9),
            (0.0, 1.0, 0.0),
            (0.0, 1.0, f64::NAN),
            (0.0, 1e200, 1e-9),
            (f64::MAX, 1e150, 1e-9),
        ] {
            assert!(kl_by_quadrature(&bell, &bell, center, scale, tolerance).is_err(), "{center} {scale} {tolerance}");
            assert!(total_variation_by_quadrature(&bell, &bell, center, scale, tolerance).is_err());
        }
    }

    #[test]
    fn kinks_and_several_crossings() {
        // A Laplace density has a kink at 1 and crosses the normal four times.
        let (q, p) = (member!(Laplace, 1.0, 1.0), member!(Normal, 1.0, 2.0_f64.sqrt()));
        // D = ½ ln(4π) − ln 2 − 1 + E (x−1)²/4, with variance 2.
        agree(
            kl_by_quadrature(&q, &p, 1.0, 1.0, 1e-9),
            0.5 * (4.0 * std::f64::consts::PI).ln() - 2.0_f64.ln() - 0.5,
            1e-9,
        );
        let tv = total_variation_by_quadrature(&q, &p, 0.0, 1.0, 1e-9).unwrap();
        let e = total_variation_by_monte_carlo("four crossings", 400_000, &q, &p).unwrap();
        assert!((e.mean() - tv.value).abs() < 6.0 * e.standard_error() && e.standard_error() < 1e-3, "{e:?} {tv:?}");
    }

    #[test]
    fn monte_carlo_agrees_with_the_closed_forms() {
        let covariance = DMatrix::from_fn(4, 4, |i, j| if i == j { 1.5 } else { 0.4 });
        let (q, p) =
            (Gaussian::standard(4).unwrap(), Gaussian::new(dvector![0.5, 0.0, -0.3, 1.0], covariance).unwrap());
        let e = kl_by_monte_carlo("in four dimensions", 200_000, &q, &p).unwrap();
        assert!((e.mean() - kl(&q, &p).unwrap()).abs() < 6.0 * e.standard_error() && e.standard_error() < 0.01);
        let (q, p) = (member!(Exp, 2.0), member!(Exp, 1.0));
        let e = kl_by_monte_carlo("on the line", 200_000, &q, &p).unwrap();
        assert!((e.mean() - kl(&q, &p).unwrap()).abs() < 6.0 * e.standard_error() && e.standard_error() < 0.01);
        // A discrete family is as good here.
        let (q, p) = (member!(Bernoulli, 0.25), member!(Bernoulli, 0.5));
        let e = total_variation_by_monte_carlo("two coins", 200_000, &q, &p).unwrap();
        assert!((e.mean() - 0.25).abs() < 6.0 * e.standard_error());
        let apart =
            total_variation_by_monte_carlo("apart", 100, &member!(Uniform, 0.0, 1.0), &member!(Uniform, 2.0, 3.0));
        assert_eq!(apart.unwrap().mean(), 1.0);
        assert!(kl_by_monte_carlo("shapes", 10, &q, &Gaussian::standard(2).unwrap()).is_err());
        let mixture = Mixture::new([0.5, 0.5], vec![normal(0.0, 1.0), normal(0.0, 1.0)]).unwrap();
        let same = kl_by_monte_carlo("the same", 1000, &mixture, &normal(0.0, 1.0)).unwrap();
        assert!(same.mean().abs() < 1e-14);
    }
}
