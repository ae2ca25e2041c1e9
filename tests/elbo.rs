//! Claims V1 to V7: the decomposition of the evidence, the gradients of the ELBO against quadrature, dual numbers and differences,
//! their mutants refuted, and what the ascents reach against closed forms.

use generative_models::check::Report;
use generative_models::elbo::Ascent;
use generative_models::num_dual::{DualNum, DualSVec64};
use generative_models::prelude::*;

#[track_caller]
fn stands(report: Report) {
    assert!(report.stands(), "{report}");
}

/// A matrix of standard normal entries.
fn normals(rows: usize, columns: usize, rng: &mut Generator) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
}

fn vector(n: usize, rng: &mut Generator) -> DVector<f64> {
    DVector::from_fn(n, |_, _| StandardNormal.sample(rng))
}

/// A normal in d dimensions, no correlation of it near ±1.
fn normal(d: usize, rng: &mut Generator) -> Gaussian {
    let a = normals(d, d, rng);
    Gaussian::new(vector(d, rng), &a * a.transpose() + DMatrix::identity(d, d) * 0.2).unwrap()
}

fn linear_gaussian(rng: &mut Generator) -> LinearGaussian {
    let (d, p) = (rng.random_range(1..=4), rng.random_range(1..=5));
    let noise = normal(p, rng).covariance().clone();
    LinearGaussian::new(normal(d, rng), normals(p, d, rng), vector(p, rng), noise, vector(p, rng) * 2.0).unwrap()
}

/// In two dimensions, with three observations.
fn example() -> LinearGaussian {
    let prior = Gaussian::new(dvector![0.5, -0.5], dmatrix![1.0, 0.3; 0.3, 2.0]).unwrap();
    let (w, b) = (dmatrix![1.0, 0.5; -0.4, 1.0; 0.3, 0.8], dvector![0.1, 0.0, -0.2]);
    let noise = dmatrix![1.0, 0.2, 0.0; 0.2, 0.8, 0.1; 0.0, 0.1, 1.5];
    LinearGaussian::new(prior, w, b, noise, dvector![1.0, -2.0, 0.7]).unwrap()
}

fn full_rank() -> FullRank {
    FullRank::new(dvector![0.4, -0.9], dmatrix![0.7, -0.3; -0.3, 0.5]).unwrap()
}

fn mean_field() -> MeanField {
    MeanField::new(dvector![0.4, -0.9], dvector![0.8, 0.6]).unwrap()
}

/// E f(ε) for ε ~ N(0, I), entry by entry, and an error of its sums of rounded terms.
fn expectation(d: usize, f: impl Fn(&DVector<f64>) -> DVector<f64>) -> (DVector<f64>, f64) {
    let (noise, n) = (Gaussian::standard(d).unwrap(), f(&DVector::zeros(d)).len());
    let entries: Vec<Quadrature> = (0..n).map(|i| gauss_hermite(&noise, 1e-9, |e| f(e)[i]).unwrap()).collect();
    let error = entries.iter().map(|entry| entry.error).fold(0.0, f64::max);
    (DVector::from_iterator(n, entries.iter().map(|entry| entry.value)), error)
}

/// The gradient of f by central differences, off by about h²/6 times the third derivative and 1e-16/h times the value.
fn differences(f: impl Fn(&DVector<f64>) -> f64, at: &DVector<f64>) -> DVector<f64> {
    let h = 1e-5;
    let moved = |i: usize, h: f64| {
        let mut at = at.clone();
        at[i] += h;
        f(&at)
    };
    DVector::from_fn(at.len(), |i, _| (moved(i, h) - moved(i, -h)) / (2.0 * h))
}

/// Holds a gradient against central differences; for derivatives and values up to about 100.
#[track_caller]
fn is_gradient(claim: &str, name: &str, gradient: DVector<f64>, f: impl Fn(&DVector<f64>) -> f64, at: &DVector<f64>) {
    let oracle = differences(f, at);
    let check = Exact { claim, name, closed_form: gradient.clone(), oracle, error: 1e-7, discrepancy: 1e-5 };
    stands(check.check());
    stands(Exact { closed_form: -&gradient, ..check.clone() }.expect_refuted());
    stands(Exact { closed_form: &gradient * 1.01, ..check }.expect_refuted());
}

// V3 to V5: the decomposition of the evidence

#[test]
fn the_published_number() {
    let prior = Gaussian::univariate(0.0, 1.0).unwrap();
    let model = LinearGaussian::new(prior, dmatrix![1.0], dvector![0.0], dmatrix![1.0], dvector![1.0]).unwrap();
    let q = MeanField::new(dvector![0.3], dvector![0.4_f64.sqrt()]).unwrap();
    let terms = [
        model.expected_ln_likelihood(&q).unwrap(),
        -kl(&q.gaussian().unwrap(), model.prior()).unwrap(),
        kl(&q.gaussian().unwrap(), &model.posterior().unwrap()).unwrap(),
    ];
    let closed_form = DVector::from_column_slice(&[terms[0], terms[1], terms[2], model.ln_evidence()]);
    let oracle = dvector![-1.363938533, -0.2031453659, 0.05157177566, -1.51551212348];
    stands(Exact { claim: "V4", name: "the terms", closed_form, oracle, error: 5e-10, discrepancy: 1e-8 }.check());
    assert!((terms.iter().sum::<f64>() - model.ln_evidence()).abs() < 1e-15);
}

#[test]
fn the_evidence_is_the_elbo_and_the_divergence() {
    let mut rng = rng("decomposition");
    for _ in 0..300 {
        let model = linear_gaussian(&mut rng);
        let d = model.latent_dim();
        let q = FullRank::from(normal(d, &mut rng));
        let of = |q: &Gaussian, p: &Gaussian| kl(q, p).unwrap();
        let (likelihood, ln_evidence) = (model.expected_ln_likelihood(&q).unwrap(), model.ln_evidence());
        let gaussian = q.gaussian().unwrap();
        let (prior, posterior) = (of(&gaussian, model.prior()), of(&gaussian, &model.posterior().unwrap()));
        let largest = [likelihood, prior, posterior, ln_evidence].iter().fold(0.0_f64, |m, t| m.max(t.abs()));
        let missing = |sum: f64| (sum - ln_evidence).abs() / largest;
        assert!(missing(likelihood - prior + posterior) <= 1e-12, "{:e}", missing(likelihood - prior + posterior));
        assert!(missing(elbo(&model, &q).unwrap() + posterior) <= 1e-12);
        // The divergences with the other sign, and swapped.
        assert!(missing(likelihood + prior + posterior) > 1e-6 && missing(likelihood - prior - posterior) > 1e-6);
        assert!(missing(likelihood - of(model.prior(), &gaussian) + posterior) > 1e-6);
        let closest = FullRank::from(model.posterior().unwrap());
        assert!(missing(elbo(&model, &closest).unwrap()) <= 1e-12);
    }
}

#[test]
fn posterior_and_evidence_are_those_of_the_joint_normal() {
    // The block formula for (z, x), and quadrature of ln p(x, z) itself.
    let model = example();
    let (p, w) = (model.prior().covariance(), dmatrix![1.0, 0.5; -0.4, 1.0; 0.3, 0.8]);
    let mut covariance = DMatrix::zeros(5, 5);
    covariance.view_mut((0, 0), (2, 2)).copy_from(p);
    covariance.view_mut((2, 0), (3, 2)).copy_from(&(&w * p));
    covariance.view_mut((0, 2), (2, 3)).copy_from(&(p * w.transpose()));
    covariance.view_mut((2, 2), (3, 3)).copy_from(model.marginal().covariance());
    let mut mean = DVector::zeros(5);
    mean.rows_mut(0, 2).copy_from(model.prior().mean());
    mean.rows_mut(2, 3).copy_from(&(&w * model.prior().mean() + dvector![0.1, 0.0, -0.2]));
    let x = dvector![1.0, -2.0, 0.7];
    let conditional = Gaussian::new(mean, covariance).unwrap().conditional(&[2, 3, 4], &x).unwrap();
    let posterior = model.posterior().unwrap();
    let (claim, error, discrepancy) = ("V1", 1e-13, 1e-6);
    let (closed_form, oracle) = (posterior.mean().clone(), conditional.mean().clone());
    stands(Exact { claim, name: "posterior mean", closed_form, oracle, error, discrepancy }.check());
    let (closed_form, oracle) = (posterior.covariance().clone(), conditional.covariance().clone());
    stands(Exact { claim, name: "posterior covariance", closed_form, oracle, error, discrepancy }.check());
    let precision = posterior.solve_covariance(&DMatrix::identity(2, 2)).unwrap();
    let closed_form = model.precision().unwrap();
    stands(Exact { claim, name: "Λ", closed_form, oracle: precision, error: 1e-12, discrepancy }.check());
    let wide = Gaussian::new(posterior.mean().clone(), posterior.covariance() * 1.5).unwrap();
    let ratio = |z: &DVector<f64>| (model.ln_joint(z).unwrap() - wide.ln_pdf(z).unwrap()).exp();
    let evidence = gauss_hermite(&wide, 1e-12, ratio).unwrap().ln().unwrap();
    let error = evidence.error + 1e-13;
    let (closed_form, oracle) = (model.ln_evidence(), evidence.value);
    stands(Exact { claim, name: "ln p(x)", closed_form, oracle, error, discrepancy: 1e-6 }.check());
}

#[test]
fn single_draws_have_the_elbo_for_their_mean() {
    let (model, q) = (example(), full_rank());
    let right = elbo(&model, &q).unwrap();
    let (gaussian, posterior) = (q.gaussian().unwrap(), model.posterior().unwrap());
    let bound = Bound::elbo(&gaussian, &posterior).unwrap();
    let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.02 };
    let samples = bound.min_samples(power).unwrap();
    let check = MonteCarlo { claim: "V5", name: "ELBO", closed_form: right, bound, power, samples };
    // The densities without a factor of the library's.
    let ln_q = |z: &DVector<f64>| {
        let (r, s) = (z - gaussian.mean(), gaussian.covariance());
        let square = r.dot(&(s.clone().try_inverse().unwrap() * &r));
        -0.5 * (2.0 * (2.0 * PI).ln() + s.determinant().ln() + square)
    };
    let single = |rng: &mut Generator| {
        let z = gaussian.sample(rng);
        model.ln_joint(&z).unwrap() - ln_q(&z)
    };
    stands(check.check(single));
    for mutant in [1.01 * right, right - q.entropy(), right - 2.0 * q.entropy(), model.ln_evidence()] {
        stands(MonteCarlo { closed_form: mutant, ..check.clone() }.expect_refuted(single));
    }
    let estimate = elbo_by_monte_carlo("single draws", samples, &model, &q).unwrap();
    assert!((estimate.mean() - right).abs() < 6.0 * estimate.standard_error());
}

// The models' gradients

fn labels() -> LogisticRegression {
    let x = dmatrix![1.0, -1.2; 1.0, 0.3; 1.0, 2.0; 1.0, 0.5; 1.0, -0.4];
    let prior = Gaussian::new(dvector![0.2, -0.1], dmatrix![2.0, 0.5; 0.5, 1.0]).unwrap();
    LogisticRegression::new(prior, x, &[false, true, true, false, true]).unwrap()
}

fn two_means() -> MixtureMeans {
    let prior = Gaussian::new(DVector::zeros(2), DMatrix::identity(2, 2) * 9.0).unwrap();
    MixtureMeans::new(prior, [0.4, 0.6], 0.9, &[-1.5, -1.2, 0.4, 1.9, 2.2]).unwrap()
}

#[track_caller]
fn model_gradient(name: &str, model: &impl Model, z: &DVector<f64>) {
    is_gradient("V6", name, model.gradient(z).unwrap(), |z| model.ln_joint(z).unwrap(), z);
}

#[test]
fn gradients_of_the_models() {
    let z = dvector![0.7, -1.1];
    model_gradient("linear-Gaussian", &example(), &z);
    model_gradient("logistic regression", &labels(), &z);
    model_gradient("two means", &two_means(), &z);
    model_gradient("a normal", &Gaussian::new(dvector![1.0, 0.0], dmatrix![2.0, 0.5; 0.5, 1.0]).unwrap(), &z);
    let components = vec![normal(2, &mut rng("a")), normal(2, &mut rng("b"))];
    model_gradient("a mixture", &Mixture::new([0.3, 0.7], components).unwrap(), &z);
    let (mut ppca, q) = ppca();
    let z = q.sample(&mut rng("ppca"));
    model_gradient("PPCA", &ppca, &z);
    let theta = ppca.parameters();
    let at = |theta: &DVector<f64>| {
        let mut moved = ppca.clone();
        moved.set_parameters(theta).unwrap();
        moved
    };
    let in_theta = |theta: &DVector<f64>| at(theta).ln_joint(&z).unwrap();
    is_gradient("V7", "PPCA in θ", ppca.gradient_parameters(&z).unwrap(), in_theta, &theta);
    let c = dmatrix![1.0, 0.3; 0.3, 0.5];
    let trace = |theta: &DVector<f64>| -0.5 * (at(theta).precision().unwrap() * &c).trace();
    is_gradient("V7", "PPCA, tr ΛC in θ", ppca.gradient_precision(&c).unwrap(), trace, &theta);
    // A θ that is refused changes nothing.
    let before = ppca.clone();
    assert!(ppca.set_parameters(&(theta * 1e4)).is_err() && ppca == before);
}

#[test]
fn dual_numbers_give_the_same() {
    let z = dvector![0.7, -1.1];
    let (x, labelled) = ([-1.2, 0.3, 2.0, 0.5, -0.4], [0.0, 1.0, 1.0, 0.0, 1.0]);
    // The normal density by its inverse covariance, [2, ½; ½, 1]⁻¹ = [4, −2; −2, 8]/7.
    let logistic = DualModel::<2>::new(move |z| {
        let terms = x.iter().zip(labelled).map(|(&x, y)| {
            let a = z[0] + z[1] * x;
            a * y - (a.exp() + 1.0).ln()
        });
        let (u, v) = (z[0] - 0.2, z[1] + 0.1);
        let square = (u * u * 4.0 - u * v * 4.0 + v * v * 8.0) / 7.0;
        terms.fold(square * -0.5 - (2.0 * PI).ln() - 0.5 * 1.75_f64.ln(), |sum, term| sum + term)
    });
    let means = DualModel::<2>::new(|z| {
        let part = |w: f64, z: DualSVec64<2>, x: f64| {
            (((-z + x) / 0.9).powi(2) * -0.5).exp() * (w / (0.9 * (2.0 * PI).sqrt()))
        };
        let terms = [-1.5, -1.2, 0.4, 1.9, 2.2].map(|x| (part(0.4, z[0], x) + part(0.6, z[1], x)).ln());
        let prior = (z[0] * z[0] + z[1] * z[1]) / -18.0 - (2.0 * PI * 9.0).ln();
        terms.into_iter().fold(prior, |sum, term| sum + term)
    });
    fn same(name: &str, model: &impl Model, dual: &DualModel<2>, z: &DVector<f64>) {
        let with_value = |value: f64, gradient: DVector<f64>| gradient.push(value);
        let closed_form = with_value(model.ln_joint(z).unwrap(), model.gradient(z).unwrap());
        let oracle = with_value(dual.ln_joint(z).unwrap(), dual.gradient(z).unwrap());
        stands(Exact { claim: "V6", name, closed_form, oracle, error: 1e-13, discrepancy: 1e-9 }.check());
    }
    same("logistic regression by dual numbers", &labels(), &logistic, &z);
    same("two means by dual numbers", &two_means(), &means, &z);
}

// The families

/// PPCA of some rows away from its optimum, and a q away from the posterior.
fn ppca() -> (Ppca, Amortised) {
    let mut rng = rng("ppca example");
    let data = normal(3, &mut rng).sample_n(6, &mut rng);
    let model = Ppca::new(&data, normals(3, 2, &mut rng), 0.8).unwrap();
    let covariance = dmatrix![0.5, 0.1; 0.1, 0.3];
    let q = Amortised::new(&data, normals(2, 3, &mut rng) * 0.3, dvector![0.1, -0.2], covariance).unwrap();
    (model, q)
}

#[track_caller]
fn family(name: &str, q: &(impl Family + Sync)) {
    let mut rng = rng(name);
    let phi = q.parameters();
    assert!((q.with_parameters(&phi).unwrap().parameters() - &phi).amax() < 1e-15);
    let at = |phi: &DVector<f64>| q.with_parameters(phi).unwrap();
    let (noise, v) = (vector(q.dim(), &mut rng), vector(q.dim(), &mut rng));
    let z = q.place(&noise).unwrap();
    assert!((q.noise(&z).unwrap() - &noise).amax() < 1e-13);
    is_gradient("V6", "∇_z ln q", q.gradient(&z).unwrap(), |z| q.ln_pdf(z).unwrap(), &z);
    is_gradient("V6", "the score", q.score(&z).unwrap(), |phi| at(phi).ln_pdf(&z).unwrap(), &phi);
    is_gradient("V6", "∇H", q.entropy_gradient().unwrap(), |phi| at(phi).entropy(), &phi);
    let along = q.along_path(&noise, &v).unwrap();
    is_gradient("V6", "along the path", along, |phi| at(phi).place(&noise).unwrap().dot(&v), &phi);
    // ln q on the path is −½‖ε‖² − ln det L: its derivative is that of −H.
    let total = q.along_path(&noise, &q.gradient(&z).unwrap()).unwrap() + q.score(&z).unwrap();
    assert!((total + q.entropy_gradient().unwrap()).amax() < 1e-12);
    // What it draws is what it says.
    let entropy = elbo_by_monte_carlo(name, 4096, &Flat(q.dim()), q).unwrap();
    assert!((entropy.mean() - q.entropy()).abs() < 6.0 * entropy.standard_error());
}

/// ln p = 0, whose ELBO is the entropy.
struct Flat(usize);

impl Model for Flat {
    fn latent_dim(&self) -> usize {
        self.0
    }
    fn ln_joint(&self, _: &DVector<f64>) -> Result<f64> {
        Ok(0.0)
    }
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(z * 0.0)
    }
}

#[test]
fn families_are_what_they_say() {
    family("mean field", &mean_field());
    family("full rank", &full_rank());
    family("full rank in four dimensions", &FullRank::from(normal(4, &mut rng("four"))));
    family("amortised", &ppca().1);
    let (q, x) = (full_rank(), dvector![0.3, -2.0]);
    assert!((q.ln_pdf(&x).unwrap() - q.gaussian().unwrap().ln_pdf(&x).unwrap()).abs() < 1e-14);
    assert!((q.entropy() - q.gaussian().unwrap().entropy()).abs() < 1e-14);
    // The amortised family is the product of its normals.
    let (_, q) = ppca();
    let z = q.sample(&mut rng("product"));
    let mut stream = rng("ppca example");
    let data = normal(3, &mut stream).sample_n(6, &mut stream);
    let of = |n: usize| q.given(&data.row(n).transpose()).unwrap().ln_pdf(&z.rows(2 * n, 2).into_owned()).unwrap();
    assert!((q.ln_pdf(&z).unwrap() - (0..6).map(of).sum::<f64>()).abs() < 1e-12);
}

#[track_caller]
fn fisher(name: &str, q: &impl Fisher) {
    let phi = q.parameters();
    let n = phi.len();
    let score = |e: &DVector<f64>| q.score(&q.place(e).unwrap()).unwrap();
    let (mean, error) = expectation(q.dim(), score);
    assert!(mean.amax() <= error + 1e-13, "the score of {name} has the mean {mean}");
    let products = |e: &DVector<f64>| {
        let score = score(e);
        DVector::from_column_slice((&score * score.transpose()).as_slice())
    };
    let (products, error) = expectation(q.dim(), products);
    let information = DMatrix::from_column_slice(n, n, products.as_slice());
    let oracle = DVector::from_fn(n, |i, _| (i as f64 - 1.5).sin() + 1.0);
    let natural = q.natural_gradient(&oracle).unwrap();
    let (closed_form, error) = (&information * &natural, error * natural.abs().sum() + 1e-12);
    let check = Exact { claim: "V6", name, closed_form, oracle, error, discrepancy: 1e-6 };
    stands(check.check());
    stands(Exact { closed_form: &information * &check.oracle, ..check }.expect_refuted());
}

#[test]
fn natural_gradients_undo_the_information() {
    fisher("F of mean field", &mean_field());
    fisher("F of full rank", &full_rank());
}

// V6: the estimators

/// The mean of an estimator's value and gradient over all noise, exactly: they are polynomials of it.
fn mean_of<M: Model, Q: Family>(
    estimator: &impl GradientEstimator<M, Q>,
    model: &M,
    q: &Q,
    draws: usize,
) -> (DVector<f64>, f64) {
    let d = q.dim();
    expectation(draws * d, |noise| {
        let noise: Vec<DVector<f64>> = (0..draws).map(|i| noise.rows(i * d, d).into_owned()).collect();
        let draws = estimator.at(model, q, &noise).unwrap();
        draws.gradient().push(draws.elbo().mean())
    })
}

fn analytic<M: Quadratic, Q: Family>(model: &M, q: &Q) -> DVector<f64> {
    let draws = Analytic.at(model, q, &[DVector::zeros(q.dim())]).unwrap();
    draws.gradient().push(draws.elbo().mean())
}

#[track_caller]
fn unbiased<M: Quadratic, Q: Family>(
    name: &str,
    estimator: &impl GradientEstimator<M, Q>,
    model: &M,
    q: &Q,
    draws: usize,
    right: bool,
) {
    let (oracle, error) = mean_of(estimator, model, q, draws);
    let closed_form = analytic(model, q);
    let check = Exact { claim: "V6", name, closed_form, oracle, error: error + 1e-11, discrepancy: 1e-3 };
    stands(if right { check.check() } else { check.expect_refuted() });
}

#[test]
fn the_analytic_gradient_is_that_of_the_elbo() {
    fn holds<M: Quadratic, Q: Family>(name: &str, model: &M, q: &Q) {
        let at = |phi: &DVector<f64>| elbo(model, &q.with_parameters(phi).unwrap()).unwrap();
        let gradient = Analytic.at(model, q, &[DVector::zeros(q.dim())]).unwrap().gradient();
        is_gradient("V6", name, gradient, at, &q.parameters());
    }
    holds("∇ ELBO, mean field", &example(), &mean_field());
    holds("∇ ELBO, full rank", &example(), &full_rank());
    let (model, q) = ppca();
    holds("∇ ELBO, amortised", &model, &q);
    let gradient = Analytic.at(&model, &q, &[DVector::zeros(q.dim())]).unwrap().model_gradient();
    let at = |theta: &DVector<f64>| {
        let mut moved = model.clone();
        moved.set_parameters(theta).unwrap();
        elbo(&moved, &q).unwrap()
    };
    is_gradient("V7", "∇_θ ELBO", gradient, at, &model.parameters());
}

#[test]
fn the_gradient_three_ways() {
    // The ELBO of the published example, written out in φ = (m, λ), s = eˡ: by dual numbers, by differences and by the library.
    let formula = DualModel::<2>::new(|phi| {
        let (m, ln_s) = (phi[0], phi[1]);
        let square = (ln_s * 2.0).exp();
        let (likelihood, prior) = ((-m + 1.0).powi(2) + square, m * m + square);
        (likelihood + prior + 2.0 * (2.0 * PI).ln()) * -0.5 + ln_s + 0.5 * (1.0 + (2.0 * PI).ln())
    });
    let prior = Gaussian::univariate(0.0, 1.0).unwrap();
    let model = LinearGaussian::new(prior, dmatrix![1.0], dvector![0.0], dmatrix![1.0], dvector![1.0]).unwrap();
    for (mean, deviation) in [(0.3, 0.4_f64.sqrt()), (-2.0, 3.0), (0.5, 0.5_f64.sqrt())] {
        let q = MeanField::new(dvector![mean], dvector![deviation]).unwrap();
        let phi = q.parameters();
        let oracle = formula.gradient(&phi).unwrap().push(formula.ln_joint(&phi).unwrap());
        let closed_form = analytic(&model, &q);
        let check = Exact { claim: "V6", name: "∇ ELBO", closed_form, oracle, error: 1e-13, discrepancy: 1e-9 };
        stands(check.check());
        let differences = differences(|phi| formula.ln_joint(phi).unwrap(), &phi).push(check.oracle[2]);
        stands(Exact { oracle: differences, error: 1e-7, discrepancy: 1e-5, ..check }.check());
    }
}

#[test]
fn in_many_dimensions_the_mean_is_that_of_a_cubature() {
    // PPCA of six samples: twelve latents. The gradients are quadratic in the noise, as the ELBO is.
    let (model, q) = ppca();
    let noise = Gaussian::standard(q.dim()).unwrap();
    let all = |draws: Draws| {
        let entries = draws.gradient().iter().chain(&draws.model_gradient()).copied().collect::<Vec<f64>>();
        DVector::from_vec(entries).push(draws.elbo().mean())
    };
    fn holds(
        name: &str,
        right: &DVector<f64>,
        noise: &Gaussian,
        estimate: impl Fn(&DVector<f64>) -> DVector<f64>,
        wrong: Option<usize>,
    ) {
        let means: Vec<Quadrature> = (0..right.len()).map(|i| cubature(noise, |e| estimate(e)[i]).unwrap()).collect();
        let error = means.iter().map(|mean| mean.error).fold(0.0, f64::max) + 1e-11;
        let oracle = DVector::from_iterator(right.len(), means.iter().map(|mean| mean.value));
        let mut closed_form = right.clone();
        wrong.into_iter().for_each(|i| closed_form[i] *= 1.01);
        let check = Exact { claim: "V7", name, closed_form, oracle, error, discrepancy: 1e-4 };
        stands(if wrong.is_some() { check.expect_refuted() } else { check.check() });
    }
    let right = all(Analytic.at(&model, &q, &[DVector::zeros(q.dim())]).unwrap());
    let one = |e: &DVector<f64>| [e.clone()];
    for wrong in [None, Some(0), Some(right.len() - 2), Some(right.len() - 1)] {
        holds("path", &right, &noise, |e| all(Reparameterized.at(&model, &q, &one(e)).unwrap()), wrong);
        holds("landing", &right, &noise, |e| all(StickingTheLanding.at(&model, &q, &one(e)).unwrap()), wrong);
        holds("entropy", &right, &noise, |e| all(AnalyticEntropy.at(&model, &q, &one(e)).unwrap()), wrong);
    }
}

#[test]
fn every_estimator_is_right_in_the_mean() {
    fn all(model: &LinearGaussian, q: &impl Family) {
        unbiased("score function", &ScoreFunction, model, q, 1, true);
        unbiased("reparameterised", &Reparameterized, model, q, 1, true);
        unbiased("sticking the landing", &StickingTheLanding, model, q, 1, true);
        unbiased("analytic entropy", &AnalyticEntropy, model, q, 1, true);
        unbiased("analytic KL", &AnalyticKl, model, q, 1, true);
    }
    all(&example(), &full_rank());
    all(&example(), &mean_field());
    let prior = Gaussian::univariate(0.5, 2.0).unwrap();
    let model = LinearGaussian::new(prior, dmatrix![1.5], dvector![0.2], dmatrix![0.7], dvector![1.0]).unwrap();
    let q = FullRank::new(dvector![0.3], dmatrix![0.4]).unwrap();
    for draws in [2, 3] {
        unbiased("leave one out", &LeaveOneOut, &model, &q, draws, true);
    }
}

/// An estimator made wrong: a value and a gradient from the noise.
struct Mutant<F>(F);

impl<M: Model, Q: Family, F: Fn(&M, &Q, &[DVector<f64>]) -> (f64, DVector<f64>)> GradientEstimator<M, Q> for Mutant<F> {
    fn at(&self, model: &M, q: &Q, noise: &[DVector<f64>]) -> Result<Draws> {
        let (elbo, gradient) = (self.0)(model, q, noise);
        let (elbos, gradients) = (dvector![elbo], DMatrix::from_rows(&[gradient.transpose()]));
        Ok(Draws { elbos, gradients, model_gradients: DMatrix::zeros(1, 0) })
    }
}

#[test]
fn mutants_of_the_estimators_are_refuted() {
    type Value<'a> = (f64, f64, DVector<f64>, DVector<f64>, DVector<f64>, &'a FullRank, &'a DVector<f64>);
    // ln p, ln q, their gradients in z, the score; q and the noise.
    fn of<'a>(model: &LinearGaussian, q: &'a FullRank, noise: &'a DVector<f64>) -> Value<'a> {
        let z = q.place(noise).unwrap();
        let (ln_p, ln_q) = (model.ln_joint(&z).unwrap(), q.ln_pdf(&z).unwrap());
        (ln_p, ln_q, model.gradient(&z).unwrap(), q.gradient(&z).unwrap(), q.score(&z).unwrap(), q, noise)
    }
    type Formula = fn(Value<'_>) -> DVector<f64>;
    let formulas: [(&str, bool, Formula); 9] = [
        ("the score function itself", true, |(p, l, _, _, score, _, _)| score * (p - l)),
        ("the score function without ln q", false, |(p, _, _, _, score, _, _)| score * p),
        ("the score function with ln q's sign swapped", false, |(p, l, _, _, score, _, _)| score * (p + l)),
        ("the score function with its sign swapped", false, |(p, l, _, _, score, _, _)| score * (l - p)),
        ("the path itself", true, |(_, _, p, l, _, q, e)| q.along_path(e, &(p - l)).unwrap()),
        ("the path without ln q", false, |(_, _, p, _, _, q, e)| q.along_path(e, &p).unwrap()),
        ("the path with ln q's sign swapped", false, |(_, _, p, l, _, q, e)| q.along_path(e, &(p + l)).unwrap()),
        ("the path at the noise −ε", false, |(_, _, p, l, _, q, e)| q.along_path(&-e, &(p - l)).unwrap()),
        // The score has mean zero: what this one gets wrong is the variance alone.
        ("the score added", true, |(_, _, p, l, score, q, e)| q.along_path(e, &(p - l)).unwrap() + score),
    ];
    let (model, q) = (example(), full_rank());
    for (name, right, formula) in formulas {
        let mutant = Mutant(|model: &LinearGaussian, q: &FullRank, noise: &[DVector<f64>]| {
            let value = of(model, q, &noise[0]);
            (value.0 - value.1, formula(value))
        });
        unbiased(name, &mutant, &model, &q, 1, right);
    }
    // A baseline that depends on its own draw shortens the gradient by (n − 1)/n.
    let prior = Gaussian::univariate(0.5, 2.0).unwrap();
    let model = LinearGaussian::new(prior, dmatrix![1.5], dvector![0.2], dmatrix![0.7], dvector![1.0]).unwrap();
    let q = FullRank::new(dvector![0.3], dmatrix![0.4]).unwrap();
    let mutant = Mutant(|model: &LinearGaussian, q: &FullRank, noise: &[DVector<f64>]| {
        let draws: Vec<_> = noise.iter().map(|noise| of(model, q, noise)).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().map(|draw| draw.0 - draw.1).sum::<f64>() / n;
        let gradient = draws.iter().map(|draw| &draw.4 * (draw.0 - draw.1 - mean)).sum::<DVector<f64>>() / n;
        (mean, gradient)
    });
    unbiased("a baseline with the draw in it", &mutant, &model, &q, 3, false);
}

#[test]
fn gradients_from_random_draws_are_right_in_the_mean() {
    // With the draws that an ascent makes: each entry is quadratic in ε, and its mean over as many draws as the bound asks for.
    let (model, q) = (example(), mean_field());
    let expected = Analytic.at(&model, &q, &[DVector::zeros(2)]).unwrap().gradient();
    let power = Power { false_alarm: 1e-9, miss: 1e-3, discrepancy: 0.05 };
    // v εᵀ with v = ∇ ln p − ∇ ln q = u − Λ′ε in entry i, times σᵢ for ln σᵢ.
    let (precision, sigma) = (model.precision().unwrap(), [0.8, 0.6]);
    for (i, &sigma_i) in sigma.iter().enumerate() {
        let slope = DVector::from_fn(2, |j, _| -precision[(i, j)] * sigma[j] + f64::from(u8::from(i == j)) / sigma_i);
        let at_mean = model.gradient(&q.mean()).unwrap()[i];
        let mut matrix = DMatrix::zeros(2, 2);
        (0..2).for_each(|j| {
            matrix[(i, j)] += sigma_i * slope[j];
            matrix[(j, i)] += sigma_i * slope[j];
        });
        let mut linear = DVector::zeros(2);
        linear[i] = sigma_i * at_mean;
        let bounds = [Bound::Normal { variance: slope.norm_squared() }, Bound::quadratic(&linear, &matrix).unwrap()];
        for (bound, entry) in bounds.into_iter().zip([i, 2 + i]) {
            let samples = bound.min_samples(power).unwrap();
            let name = format!("sticking the landing, entry {entry}");
            let closed_form = expected[entry];
            let check = MonteCarlo { claim: "V6", name: &name, closed_form, bound, power, samples };
            let single = |rng: &mut Generator| {
                StickingTheLanding.draw(&model, &q, 1, rng).map_or(f64::NAN, |draws| draws.gradients[entry])
            };
            stands(check.check(single));
            stands(MonteCarlo { closed_form: closed_form + 0.1, ..check }.expect_refuted(single));
        }
    }
}

#[test]
fn at_the_posterior_sticking_the_landing_does_not_vary() {
    let model = example();
    let q = FullRank::from(model.posterior().unwrap());
    let mut rng = rng("landing");
    for _ in 0..100 {
        let landing = StickingTheLanding.draw(&model, &q, 1, &mut rng).unwrap();
        assert!(landing.gradient().amax() < 1e-13, "{}", landing.gradient());
        assert!((landing.elbos[0] - model.ln_evidence()).abs() < 1e-13);
    }
    // For a normal, the reparameterised gradient is that with the entropy in closed form, draw by draw; the values are not.
    let drawn = Reparameterized.draw(&model, &full_rank(), 5, &mut generative_models::prelude::rng("same")).unwrap();
    let entropy = AnalyticEntropy.draw(&model, &full_rank(), 5, &mut generative_models::prelude::rng("same")).unwrap();
    assert!((&drawn.gradients - &entropy.gradients).amax() < 1e-12 && (drawn.elbos - entropy.elbos).amin() > 1e-3);
    let variance = |estimates: Vec<Estimate>| estimates.iter().map(Estimate::variance).sum::<f64>();
    let of_path = variance(gradient_estimates("path", 2000, 4, &Reparameterized, &model, &q).unwrap());
    let of_score = variance(gradient_estimates("score", 2000, 4, &ScoreFunction, &model, &q).unwrap());
    let with_baseline = variance(gradient_estimates("baseline", 2000, 4, &LeaveOneOut, &model, &q).unwrap());
    assert!(of_path > 0.1 && of_score > of_path && with_baseline < 1e-20, "{of_path} {of_score} {with_baseline}");
    // And of PPCA with its amortised posterior.
    let (model, _) = ppca();
    let landing = StickingTheLanding.draw(&model, &model.posterior().unwrap(), 1, &mut rng).unwrap();
    assert!(landing.gradient().amax() < 1e-12);
}

// V6 and V7: what ascents reach

/// A short ascent on models of a few dimensions.
fn ascent<E, A>(name: &str, estimator: E, ascent: A) -> VariationalInference<'_, E, A> {
    VariationalInference { name, estimator, ascent, draws: 8, steps: 5000, window: 50, tolerance: 0.05 }
}

#[test]
fn ascents_reach_the_posterior() {
    let model = example();
    let best = model.ln_evidence();
    fn gap<E, A>(inference: VariationalInference<'_, E, A>, model: &LinearGaussian) -> f64
    where
        E: GradientEstimator<LinearGaussian, FullRank>,
        A: Ascent<FullRank>,
    {
        let fit = inference.fit(model, FullRank::standard(2).unwrap()).unwrap();
        assert!(fit.converged, "{}: {:?} ± {}", inference.name, fit.elbo.mean(), fit.elbo.standard_error());
        model.ln_evidence() - elbo(model, &fit.q).unwrap()
    }
    let adam = Adam { rate: 0.05, decay: 500.0 };
    let missing = gap(VariationalInference { tolerance: 1e-9, ..ascent("exact", Analytic, adam) }, &model);
    assert!(missing < 1e-6, "{missing}");
    let natural = Natural { rate: 0.5, decay: f64::INFINITY };
    let exact = VariationalInference { tolerance: 1e-12, window: 5, ..ascent("natural", Analytic, natural) };
    let fit = exact.fit(&model, FullRank::standard(2).unwrap()).unwrap();
    assert!(best - elbo(&model, &fit.q).unwrap() < 1e-12 && fit.history.height() < 200);
    // Those whose value and gradient do not vary at the posterior.
    let landing = gap(ascent("landing", StickingTheLanding, adam), &model);
    let with_natural = gap(ascent("natural landing", StickingTheLanding, natural), &model);
    let baseline = gap(ascent("baseline", LeaveOneOut, adam), &model);
    assert!(landing.max(with_natural).max(baseline) < 1e-2, "{landing} {with_natural} {baseline}");
    // Where they do it takes longer windows to tell that the rise has ended.
    fn long<E, A>(name: &str, estimator: E, ascent: A) -> VariationalInference<'_, E, A> {
        VariationalInference { name, estimator, ascent, draws: 8, steps: 20_000, window: 1000, tolerance: 0.1 }
    }
    let plain = Plain { rate: 0.05, decay: 500.0 };
    let path = gap(long("path", Reparameterized, plain), &model);
    let entropy = gap(long("entropy", AnalyticEntropy, adam), &model);
    let divergence = gap(long("divergence", AnalyticKl, adam), &model);
    let score = gap(long("score", ScoreFunction, adam), &model);
    assert!(path.max(entropy).max(divergence).max(score) < 0.05, "{path} {entropy} {divergence} {score}");
    // The best of the independent normals has too small variances, by the closed form.
    let exact = VariationalInference { tolerance: 1e-10, ..ascent("mean field", Analytic, adam) };
    let fit = exact.fit(&model, MeanField::standard(2).unwrap()).unwrap();
    let closest = MeanField::closest(&model.posterior().unwrap()).unwrap();
    assert!((fit.q.parameters() - closest.parameters()).amax() < 1e-3);
    let variances = model.posterior().unwrap().covariance().diagonal();
    assert!(
        closest.gaussian().unwrap().covariance().diagonal().iter().zip(&variances).all(|(mine, true_)| mine < true_)
    );
}

/// ∫ f exp(ln p) over the plane, by an importance distribution as wide as the posterior.
fn plane(model: &impl Model, center: &Gaussian, f: impl Fn(&DVector<f64>) -> f64) -> Quadrature {
    gauss_hermite(center, 1e-6, |z| f(z) * (model.ln_joint(z).unwrap() - center.ln_pdf(z).unwrap()).exp()).unwrap()
}

#[test]
fn logistic_regression_against_quadrature() {
    let model = labels();
    let adam = Adam { rate: 0.05, decay: 300.0 };
    let fit = ascent("logistic", StickingTheLanding, adam).fit(&model, FullRank::standard(2).unwrap()).unwrap();
    assert!(fit.converged);
    let q = fit.q.gaussian().unwrap();
    let wide = Gaussian::new(q.mean().clone(), q.covariance() * 1.5).unwrap();
    let ln_evidence = plane(&model, &wide, |_| 1.0).ln().unwrap();
    // D(q‖p(z | x)) = ln p(x) − ELBO is positive and, for so few labels, small.
    let at_q = gauss_hermite(&q, 1e-8, |z| model.ln_joint(z).unwrap() - q.ln_pdf(z).unwrap()).unwrap();
    let gap = ln_evidence.value - at_q.value;
    assert!((1e-4..0.05).contains(&gap), "{gap}");
    assert!((fit.elbo.mean() - at_q.value).abs() < 6.0 * fit.elbo.standard_error() + 1e-3);
    let moment = |i: usize| plane(&model, &wide, |z| z[i]).value / ln_evidence.value.exp();
    (0..2).for_each(|i| assert!((q.mean()[i] - moment(i)).abs() < 0.1 * q.covariance()[(i, i)].sqrt()));
    // k̂ tells the fit from one that is far too narrow.
    let weights = importance_weights("logistic", 200_000, &model, &fit.q).unwrap();
    assert!((weights.ln_evidence() - ln_evidence.value).abs() < 6.0 * weights.standard_error());
    let narrow = FullRank::new(q.mean().clone(), q.covariance() * 0.2).unwrap();
    let narrow = importance_weights("narrow", 200_000, &model, &narrow).unwrap();
    let (k, limit) = (weights.pareto_k().unwrap(), narrow.pareto_k_limit());
    let of_narrow = narrow.pareto_k().unwrap();
    assert!(of_narrow > limit && k < limit, "{k} {of_narrow} {limit}");
}

#[test]
fn a_normal_takes_one_mode_of_two() {
    let data = [-2.3, -1.9, -2.0, 2.1, 1.8, 2.4];
    let prior = Gaussian::new(DVector::zeros(2), DMatrix::identity(2, 2) * 9.0).unwrap();
    let model = MixtureMeans::new(prior, [0.5, 0.5], 1.0, &data).unwrap();
    let adam = Adam { rate: 0.05, decay: 300.0 };
    let start = MeanField::new(dvector![-1.0, 1.0], dvector![1.0, 1.0]).unwrap();
    let fit = ascent("two modes", StickingTheLanding, adam).fit(&model, start).unwrap();
    // Both modes by nested quadrature.
    let inner = |a: f64| integrate(-12.0, 12.0, 1e-13, |b| model.ln_joint(&dvector![a, b]).map(|ln| ln.exp()));
    let evidence = integrate(-12.0, 12.0, 1e-10, inner).unwrap().ln().unwrap();
    let q = fit.q.gaussian().unwrap();
    let at_q = gauss_hermite(&q, 1e-6, |z| model.ln_joint(z).unwrap() - q.ln_pdf(z).unwrap()).unwrap();
    // Half of the posterior is missing: the gap is ln 2, and a little for the shape.
    let gap = evidence.value - at_q.value;
    assert!((2.0_f64.ln()..2.0_f64.ln() + 0.1).contains(&gap), "{gap}");
    assert!(q.mean()[0] < -1.5 && q.mean()[1] > 1.5);
}

#[test]
fn ppca_by_the_elbo_is_ppca_by_maximum_likelihood() {
    let mut rng = rng("ppca fit");
    let data = normal(4, &mut rng).sample_n(60, &mut rng);
    let best = Ppca::fit(&data, 2).unwrap();
    let oracle = {
        // The likelihood's gradient in W and ln σ vanishes: ∇_Σ LL times dΣ, with Σ = WWᵀ + σ²I.
        let stats = GaussianStats::from_rows(&data).unwrap();
        let gradient = best.density().unwrap().gradient_covariance(&stats).unwrap();
        (&gradient * best.w()).amax().max(gradient.trace().abs())
    };
    assert!(oracle < 1e-9, "{oracle:e}");
    let start = || {
        let mut rng = generative_models::prelude::rng("ppca start");
        let model = Ppca::new(&data, normals(4, 2, &mut rng), 1.0).unwrap();
        let q = Amortised::new(&data, normals(2, 4, &mut rng) * 0.1, DVector::zeros(2), DMatrix::identity(2, 2));
        (model, q.unwrap())
    };
    let adam = Adam { rate: 0.03, decay: 1000.0 };
    let right = best.ln_likelihood().unwrap();
    let (mut model, q) = start();
    let exact = VariationalInference { draws: 1, tolerance: 1e-9, steps: 20_000, ..ascent("ppca", Analytic, adam) };
    let fit = exact.fit_model(&mut model, q).unwrap();
    assert!(fit.converged);
    assert!(right - model.ln_likelihood().unwrap() < 1e-5, "{}", right - model.ln_likelihood().unwrap());
    assert!((fit.elbo.mean() - right).abs() < 1e-4);
    let covariance = |model: &Ppca| model.density().unwrap().covariance().clone();
    assert!((covariance(&model) - covariance(&best)).amax() < 1e-3);
    // And from random draws, where the variance vanishes at the optimum.
    let (mut model, q) = start();
    let drawn = VariationalInference { draws: 1, steps: 4000, ..ascent("ppca drawn", StickingTheLanding, adam) };
    drawn.fit_model(&mut model, q).unwrap();
    let missing = right - model.ln_likelihood().unwrap();
    assert!((0.0..0.2).contains(&missing), "{missing}");
}

#[test]
fn the_parameter_as_a_latent_with_a_prior() {
    // zₙ | θ ~ N(θ, 1), xₙ | zₙ ~ N(zₙ, ½), θ ~ N(0, 4): (z, θ) is one normal latent, and the posterior of θ is that of a mean with
    // variance 1.5.
    let x = dvector![1.0, 2.5, 0.2];
    let mut covariance = DMatrix::repeat(4, 4, 4.0);
    (0..3).for_each(|i| covariance[(i, i)] += 1.0);
    let prior = Gaussian::new(DVector::zeros(4), covariance).unwrap();
    let w = DMatrix::identity(3, 4);
    let noise = DMatrix::identity(3, 3) * 0.5;
    let model = LinearGaussian::new(prior, w, DVector::zeros(3), noise, x.clone()).unwrap();
    let adam = Adam { rate: 0.05, decay: 500.0 };
    let exact = VariationalInference { tolerance: 1e-10, ..ascent("θ too", Analytic, adam) };
    let fit = exact.fit(&model, FullRank::standard(4).unwrap()).unwrap();
    let theta = fit.q.gaussian().unwrap().marginal(&[3]).unwrap();
    let mean = NormalMean::new(Gaussian::univariate(0.0, 4.0).unwrap(), dmatrix![1.5]).unwrap();
    let data = GaussianStats::from_rows(&DMatrix::from_column_slice(3, 1, x.as_slice())).unwrap();
    let posterior = mean.posterior(&data).unwrap();
    assert!((theta.mean()[0] - posterior.distribution().mean()[0]).abs() < 1e-3);
    assert!((theta.covariance()[0] - posterior.distribution().covariance()[0]).abs() < 1e-3);
    assert!((model.ln_evidence() - mean.ln_evidence(&data).unwrap()).abs() < 1e-13);
}

#[test]
fn the_history_is_that_of_the_steps() {
    let model = example();
    let adam = Adam { rate: 0.05, decay: 100.0 };
    let inference = VariationalInference { steps: 75, tolerance: 1e-9, ..ascent("watched", Reparameterized, adam) };
    let mut path = Vec::new();
    let fit = inference.fit_with(&model, mean_field(), |progress| path.push(progress.q.parameters())).unwrap();
    assert!(!fit.converged && fit.history.height() == 75 && path.len() == 75);
    assert_eq!((&path[0], &path[74]), (&mean_field().parameters(), &fit.q.parameters()));
    let column = |name: &str| data::matrix(&fit.history, &[name]).unwrap();
    let (elbo, smoothed, rate) = (column("elbo"), column("smoothed elbo"), column("rate"));
    assert!((smoothed[9] - elbo.rows(0, 10).mean()).abs() < 1e-12);
    assert!((smoothed[74] - elbo.rows(25, 50).mean()).abs() < 1e-12 && smoothed[74] == fit.elbo.mean());
    assert!(rate[0] == 0.05 && (rate[50] - 0.05 / 1.5).abs() < 1e-17);
    // The first row is what the draws of that name say.
    let draws = Reparameterized.draw(&model, &mean_field(), 8, &mut rng("watched")).unwrap();
    assert_eq!((elbo[0], column("gradient norm")[0]), (draws.elbo().mean(), draws.gradient().norm()));
    assert_eq!(column("standard error")[0], draws.elbo().standard_error());
    // The same again, and another with another name; of a single draw the error is unknown.
    assert_eq!(inference.fit(&model, mean_field()).unwrap().q, fit.q);
    let other = VariationalInference { name: "unwatched", draws: 1, ..inference }.fit(&model, mean_field()).unwrap();
    assert!(other.q != fit.q && other.history.column("standard error").unwrap().null_count() == 75);
}

// What goes wrong

#[test]
fn failures_keep_the_last_good_state() {
    // The gradient of −z⁴ drives a large step out of range.
    let model = DualModel::<1>::new(|z| -z[0].powi(4));
    let start = || MeanField::new(dvector![2.0], dvector![0.5]).unwrap();
    let plain = Plain { rate: 1.0, decay: f64::INFINITY };
    let error = ascent("too far", Reparameterized, plain).fit(&model, start()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("the ascent failed after") && message.contains("smaller rate"), "{message}");
    let Error::Ascent { steps, parameters, history, .. } = error else { panic!("{message}") };
    assert_eq!((history.height(), parameters.len()), (steps, 2));
    let good = start().with_parameters(&DVector::from_vec(parameters)).unwrap();
    assert!(Reparameterized.draw(&model, &good, 8, &mut rng("again")).is_ok());
    // A natural step too long makes a standard deviation that is none.
    let narrow = Gaussian::univariate(0.0, 1e-6).unwrap();
    let natural = Natural { rate: 1.0, decay: f64::INFINITY };
    let error = ascent("cone", Analytic, natural).fit(&narrow, MeanField::standard(1).unwrap()).unwrap_err();
    assert!(error.to_string().contains("left the cone"), "{error}");
    // A gradient that is no number, after a while.
    let hole = DualModel::<1>::new(|z| if z[0].re > 1.0 { z[0] * f64::NAN } else { z[0] * 3.0 });
    let q = MeanField::new(dvector![-3.0], dvector![0.01]).unwrap();
    let adam = Adam { rate: 0.05, decay: f64::INFINITY };
    let error = ascent("hole", Reparameterized, adam).fit(&hole, q).unwrap_err();
    let Error::Ascent { steps, problem, .. } = error else { panic!("{error}") };
    assert!(steps > 50 && problem.to_string().contains("NaN"), "{steps} {problem}");
    // An ascent that goes down: the gradient with its sign swapped.
    let swapped = Mutant(|model: &Gaussian, q: &MeanField, noise: &[DVector<f64>]| {
        let draws = Reparameterized.at(model, q, noise).unwrap();
        (draws.elbo().mean(), -draws.gradient())
    });
    let p = Gaussian::univariate(1.0, 1.0).unwrap();
    let error = ascent("down", swapped, adam).fit(&p, MeanField::standard(1).unwrap()).unwrap_err();
    assert!(error.to_string().contains("diverged"), "{error}");
    // θ goes back as well.
    let (mut model, q) = ppca();
    let far = Plain { rate: 10.0, decay: f64::INFINITY };
    let error = ascent("θ", Analytic, far).fit_model(&mut model, q.clone()).unwrap_err();
    let Error::Ascent { parameters, .. } = error else { panic!("{error}") };
    let good = q.with_parameters(&DVector::from_vec(parameters)).unwrap();
    assert!(elbo(&model, &good).unwrap().is_finite());
}

#[test]
fn bad_input_is_refused_by_name() {
    let p = Gaussian::standard(2).unwrap();
    let q = MeanField::standard(2).unwrap();
    let adam = Adam { rate: 0.1, decay: 100.0 };
    let good = ascent("bad", Reparameterized, adam);
    let message = |error: Result<Fit<MeanField>>| error.unwrap_err().to_string();
    let fit = |inference: VariationalInference<'_, Reparameterized, Adam>| message(inference.fit(&p, q.clone()));
    assert!(fit(VariationalInference { draws: 0, ..good.clone() }).contains("the number of draws is 0"));
    assert!(fit(VariationalInference { steps: 0, ..good.clone() }).contains("the number of steps is 0"));
    assert!(fit(VariationalInference { window: 1, ..good.clone() }).contains("the window is 1"));
    assert!(fit(VariationalInference { tolerance: f64::NAN, ..good.clone() }).contains("tolerance is NaN"));
    let with = |rate, decay| fit(VariationalInference { ascent: Adam { rate, decay }, ..good.clone() });
    assert!(with(0.0, 1.0).contains("the rate is 0") && with(0.1, -1.0).contains("decay of the rate is -1"));
    let other = good.fit(&Gaussian::standard(3).unwrap(), q.clone());
    assert!(message(other).contains("expected length 3, found 2"));
    let alone = ascent("alone", LeaveOneOut, adam);
    assert!(message(VariationalInference { draws: 1, ..alone }.fit(&p, q.clone())).contains("at least 2"));
    let x = dmatrix![1.0, 2.0; 3.0, 5.0; 0.0, 1.0];
    let (model, amortised) = ppca();
    for (refused, why) in [
        (refusal(MeanField::new(dvector![0.0], dvector![0.0])), "a standard deviation of q is 0"),
        (refusal(MeanField::new(dvector![0.0], dvector![f64::NAN])), "a standard deviation of q is NaN"),
        (refusal(MeanField::standard(0)), "the mean: expected at least one entry"),
        (refusal(FullRank::standard(0)), "the mean: expected at least one entry"),
        (refusal(q.with_parameters(&dvector![0.0, 0.0, 800.0, 0.0])), "left the cone"),
        (refusal(q.with_parameters(&dvector![0.0, f64::NAN, 0.0, 0.0])), "the parameters of q holds NaN at entry 1"),
        (refusal(q.with_parameters(&dvector![])), "the parameters of q: expected length 4"),
        (refusal(q.along_path(&dvector![1.0], &dvector![1.0, 2.0])), "the noise: expected length 2, found 1"),
        (refusal(q.score(&dvector![1.0])), "the latent: expected length 2, found 1"),
        (refusal(q.pull_back(&dvector![1.0, 2.0], &dmatrix![1.0])), "the gradient in the factor: expected length 2"),
        (refusal(q.natural_gradient(&dvector![1.0])), "the gradient: expected length 4, found 1"),
        (refusal(amortised.gaussian()), "expected one block, found 6"),
        (refusal(Ppca::fit(&x, 0)), "the dimension of the latent is 0"),
        (refusal(Ppca::fit(&x, 2)), "the dimension of the latent is 2"),
        (refusal(Ppca::fit(&DMatrix::zeros(0, 2), 1)), "span only 0 of 2"),
        (refusal(Ppca::fit(&dmatrix![1.0, 1.0; 2.0, 2.0; 3.0, 3.0], 1)), "span only 1 of 2"),
        (refusal(Ppca::new(&x, DMatrix::zeros(2, 0), 1.0)), "the columns of W"),
        (refusal(Ppca::new(&x, DMatrix::zeros(2, 1), 0.0)), "the standard deviation σ is 0"),
        (
            refusal(elbo(&model, &FullRank::standard(12).unwrap())),
            "a block of the latent of q: expected length 2, found 12",
        ),
        (refusal(elbo(&model, &mean_field())), "the latent of q: expected length 12, found 2"),
        (refusal(LogisticRegression::new(p.clone(), x.clone(), &[true])), "the labels: expected length 3, found 1"),
        (refusal(MixtureMeans::new(p.clone(), [0.5, 0.5], -1.0, &[])), "the components' standard deviation is -1"),
        (
            refusal(LinearGaussian::new(
                p.clone(),
                x.clone(),
                DVector::zeros(3),
                DMatrix::identity(3, 3),
                dvector![1.0],
            )),
            "the observation: expected length 3, found 1",
        ),
    ] {
        assert!(refused.contains(why), "{refused}");
    }
}

/// The message of an error.
fn refusal<T>(found: Result<T>) -> String {
    found.err().unwrap().to_string()
}

#[test]
fn a_thousand_random_starts_do_not_panic() {
    let mut rng = rng("random starts");
    let (mut fitted, mut refused) = (0, 0);
    for i in 0..1000 {
        let scale = 10.0_f64.powf(rng.random_range(-3.0..3.0));
        let phi = vector(4, &mut rng) * scale;
        let Ok(q) = mean_field().with_parameters(&phi) else {
            refused += 1;
            continue;
        };
        let adam = Adam { rate: 10.0_f64.powf(rng.random_range(-3.0..2.0)), decay: 50.0 };
        let name = i.to_string();
        let short = VariationalInference {
            name: &name,
            estimator: StickingTheLanding,
            ascent: adam,
            draws: 2,
            steps: 30,
            window: 5,
            tolerance: 0.1,
        };
        let fit = match i % 4 {
            0 => short.fit(&example(), q),
            1 => short.fit(&labels(), q),
            2 => short.fit(&two_means(), q),
            _ => {
                let natural = Natural { rate: short.ascent.rate, decay: 50.0 };
                let long = ascent(&name, Reparameterized, natural);
                VariationalInference { draws: 2, steps: 30, ..long }.fit(&labels(), q)
            }
        };
        match fit {
            Ok(fit) => {
                assert!(fit.q.parameters().iter().all(|p| p.is_finite()) && fit.elbo.mean().is_finite());
                fitted += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(fitted > 300 && refused > 50, "{fitted} {refused}");
}

// I1: generative models by maximum likelihood

fn em(name: &str, components: usize) -> ExpectationMaximisation<'_> {
    ExpectationMaximisation { name, components, starts: 5, steps: 5000, tolerance: 1e-9 }
}

#[test]
fn a_mixture_is_fitted_where_its_likelihood_is_stationary() {
    let [a, b] = [dvector![-2.0, 0.0], dvector![1.5, 1.0]];
    let covariances = [dmatrix![1.0, 0.4; 0.4, 0.7], dmatrix![0.6, -0.2; -0.2, 1.0]];
    let [p, q] = [(a, &covariances[0]), (b, &covariances[1])].map(|(m, s)| Gaussian::new(m, s.clone()).unwrap());
    let truth = Mixture::new([0.4, 0.6], vec![p, q]).unwrap();
    let data = truth.sample_n(400, &mut rng("stationary"));
    let fit = em("stationary", 2).fit(&data).unwrap();
    assert!(fit.converged && fit.collapsed == 0);
    let ll = *fit.ln_likelihoods.last().unwrap();
    let stats = (ln_likelihood(&fit.mixture, &data).unwrap(), ln_likelihood(&truth, &data).unwrap());
    assert!((ll - stats.0).abs() < 1e-10 && ll > stats.1);
    // Every step raises the likelihood, but for rounding.
    assert!(fit.ln_likelihoods.windows(2).all(|pair| pair[1] >= pair[0] - 1e-10));
    // The derivatives in the weights, means and factors vanish at the fit and not at the truth.
    let slopes = |mixture: &Mixture| {
        let q = mixture.components().iter().map(|p| FullRank::from(p.clone())).collect::<Vec<_>>();
        let phi: Vec<f64> = q.iter().flat_map(|q| q.parameters().as_slice().to_vec()).collect();
        let weight = mixture.weights().pmf(0);
        let at = |phi: &DVector<f64>| {
            let part = |k: usize| q[k].with_parameters(&phi.rows(5 * k, 5).into_owned()).unwrap().gaussian().unwrap();
            let weight = 1.0 / (1.0 + (-phi[10]).exp());
            ln_likelihood(&Mixture::new([weight, 1.0 - weight], vec![part(0), part(1)]).unwrap(), &data).unwrap()
        };
        differences(at, &DVector::from_vec(phi).push((weight / (1.0 - weight)).ln()))
    };
    // A gain of 1e-9 nats is left, with a curvature of at most some 1e3: a slope of 1e-3.
    assert!(slopes(&fit.mixture).amax() < 5e-3, "{}", slopes(&fit.mixture));
    assert!(slopes(&truth).amax() > 1.0);
    // One component is the fit of a normal.
    let one = em("one", 1).fit(&data).unwrap();
    let normal = Gaussian::fit(&data).unwrap();
    assert!((one.mixture.covariance() - normal.covariance()).amax() < 1e-12);
    assert!((ln_likelihood(&one.mixture, &data).unwrap() - ln_likelihood(&normal, &data).unwrap()).abs() < 1e-9);
    assert!(one.ln_likelihoods.last() < fit.ln_likelihoods.last());
}

#[test]
fn mixtures_of_the_flowers_are_those_of_other_packages() {
    // BIC = 2 LL − parameters · ln N of unconstrained normals, from mclust 5, which stops at a relative gain of 1e-5; and for three
    // components LL = −180.185477592 from scikit-learn 1.8.
    let lengths = ["sepal length", "sepal width", "petal length", "petal width"];
    let x = data::matrix(&data::iris().unwrap(), &lengths).unwrap();
    let ll = |k: usize| {
        let em = ExpectationMaximisation { name: "iris", components: k, starts: 20, steps: 5000, tolerance: 1e-7 };
        let fit = em.fit(&x).unwrap();
        assert!(fit.converged);
        *fit.ln_likelihoods.last().unwrap()
    };
    let closed_form = DVector::from_fn(3, |i, _| 2.0 * ll(i + 1) - (15.0 * (i + 1) as f64 - 1.0) * 150.0_f64.ln());
    let oracle = dvector![-829.9782, -574.0178, -580.8396];
    stands(Exact { claim: "I1", name: "BIC", closed_form, oracle, error: 2e-3, discrepancy: 1e-2 }.check());
    let (closed_form, oracle) = (ll(3), -180.18547759250404);
    stands(Exact { claim: "I1", name: "LL", closed_form, oracle, error: 1e-6, discrepancy: 1e-5 }.check());
}

#[test]
fn a_mixture_that_collapses_is_refused() {
    let data = dmatrix![0.0; 0.1; 5.0; 5.0; 5.0];
    let error = em("repeated", 2).fit(&data).unwrap_err();
    assert!(error.to_string().contains("collapsed onto 3.0 samples"), "{error}");
    let error = em("too many", 5).fit(&dmatrix![0.0; 1.0; 3.0; 6.0; 10.0]).unwrap_err();
    assert!(matches!(error, Error::Collapse { .. }), "{error}");
    let good = dmatrix![0.0; 1.0; 3.0; 6.0];
    let message = |em: ExpectationMaximisation<'_>| em.fit(&good).unwrap_err().to_string();
    assert!(message(em("none", 0)).contains("the number of components is 0"));
    assert!(message(em("more", 5)).contains("the number of components is 5"));
    assert!(message(ExpectationMaximisation { starts: 0, ..em("no start", 1) }).contains("the number of starts"));
    assert!(message(ExpectationMaximisation { steps: 0, ..em("no step", 1) }).contains("the number of steps"));
    assert!(message(ExpectationMaximisation { tolerance: 0.0, ..em("exact", 1) }).contains("tolerance is 0"));
    assert!(em("constant", 1).fit(&DMatrix::repeat(5, 1, 2.0)).unwrap_err().to_string().contains("span only 0 of 1"));
}

#[test]
fn ppca_draws_what_it_says() {
    let (model, _) = ppca();
    let p = model.density().unwrap();
    let n = 20_000;
    let fit = Gaussian::fit(&model.sample_n(n, &mut rng("drawn"))).unwrap();
    for (i, j) in (0..3).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        let (below, above) = Bound::covariance_entry(p.covariance(), i, j, n).unwrap().radius(1, 1e-9, f64::NAN);
        let error = fit.covariance()[(i, j)] - p.covariance()[(i, j)] * (1.0 - 1.0 / n as f64);
        assert!(-below.max(above) <= error && error <= below.max(above), "({i}, {j}): {error}");
        let wrong = p.covariance()[(i, i)] - model.deviation().powi(2);
        assert!((fit.covariance()[(i, i)] - wrong).abs() > above, "without the noise: {wrong}");
    }
}

#[test]
fn all_scales_are_answered_or_refused() {
    // Units from 1e-300 to 1e300 in everything: numbers or errors, and no panic.
    let mut rng = rng("scales");
    let (mut answered, mut refused) = (0, 0);
    let mut count = |ok: bool| if ok { answered += 1 } else { refused += 1 };
    for i in 0..2000 {
        let mut scale = || 10.0_f64.powf(rng.random_range(-1.0..1.0) * [3.0, 30.0, 160.0, 300.0][i % 4]);
        let (a, b, c, s) = (scale(), scale(), scale(), scale());
        let (z, zero) = (dvector![scale(), -scale()], DVector::zeros(2));
        let Ok(prior) = Gaussian::new(zero.clone(), DMatrix::identity(2, 2) * a) else { continue };
        let q = MeanField::new(dvector![b, -b], dvector![s, s * 2.0]);
        let w = DMatrix::identity(2, 2) * c;
        let linear = LinearGaussian::new(prior.clone(), w.clone(), zero, DMatrix::identity(2, 2) * s, z.clone());
        let logistic = LogisticRegression::new(prior.clone(), w.clone(), &[true, false]);
        let means = MixtureMeans::new(prior, [0.5, 0.5], s, &[b, -c]);
        let data = DMatrix::from_fn(4, 2, |i, j| b + c * ((3 * i + 5 * j * i) % 7) as f64);
        let ppca = Ppca::new(&data, DMatrix::repeat(2, 1, a), s);
        count(Ppca::fit(&data, 1).and_then(|p| p.ln_likelihood()).is_ok_and(f64::is_finite));
        count(em("scales", 2).fit(&data).is_ok());
        if let Ok(ppca) = &ppca {
            let numbers = ppca.posterior().and_then(|q| elbo(ppca, &q));
            assert!(numbers.as_ref().map_or(true, |v| v.is_finite()), "{numbers:?}");
            count(numbers.is_ok());
        }
        let Ok(q) = q else { continue };
        if let Ok(model) = &linear {
            let numbers = [elbo(model, &q), model.expected_ln_likelihood(&q), model.ln_joint(&z)];
            assert!(numbers.iter().flatten().all(|v| !v.is_nan()), "{numbers:?}");
            assert!(model.posterior().is_err() || model.ln_evidence() < f64::INFINITY);
            count(numbers.iter().all(Result::is_ok));
            every(model, &q, &mut rng, &mut count);
        }
        logistic.iter().for_each(|model| every(model, &q, &mut rng, &mut count));
        means.iter().for_each(|model| every(model, &q, &mut rng, &mut count));
    }
    assert!(answered > 1000 && refused > 1000, "{answered} {refused}");
}

/// All estimators that the model admits: their terms are numbers, or there is an error.
fn every<M: NormalPrior>(model: &M, q: &MeanField, rng: &mut Generator, count: &mut impl FnMut(bool)) {
    let draws = [
        ScoreFunction.draw(model, q, 2, rng),
        LeaveOneOut.draw(model, q, 2, rng),
        Reparameterized.draw(model, q, 2, rng),
        StickingTheLanding.draw(model, q, 2, rng),
        AnalyticEntropy.draw(model, q, 2, rng),
        AnalyticKl.draw(model, q, 2, rng),
    ];
    for draws in draws {
        assert!(draws.as_ref().map_or(true, |d| d.gradients.iter().chain(&d.elbos).all(|v| v.is_finite())));
        count(draws.is_ok());
    }
}
