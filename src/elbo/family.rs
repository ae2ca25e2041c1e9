//! The families from which q is taken: normals, their parameters φ without constraints.

use super::model::{check_latent, column, stacked};
use super::rows::{Rows, lay, product, product_over_rows, stacked_rows};
use crate::error::{Error, Result, finite, finite_matrix, in_range};
use crate::gaussian::{Density, Gaussian, same_length, variance_inflation};
use nalgebra::{DMatrix, DMatrixView, DVector, Dyn};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;
use std::sync::Arc;

/// A family of normals q_φ(z), each the image z = m + Lε of the noise ε ~ N(0, I). The latent is one block, or N independent blocks
/// zₙ = mₙ + Lεₙ that share the lower triangular factor L and stand below each other in z.
///
/// A family says how φ makes m and L and how gradients in m and L become one in φ; all else follows. The diagonal of L is there as its
/// logarithm, so that every φ is a normal.
pub trait Family: Density + Distribution<DVector<f64>> + Clone {
    /// φ
    fn parameters(&self) -> DVector<f64>;

    /// The member of the family at another φ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless φ has its length, [`Error::NotFinite`], and [`Error::Domain`] where a diagonal entry of L leaves the
    /// range of double precision.
    fn with_parameters(&self, phi: &DVector<f64>) -> Result<Self>;

    /// m, all blocks of it.
    fn mean(&self) -> DVector<f64>;

    /// L, that of one block.
    fn factor(&self) -> &DMatrix<f64>;

    /// The number N of blocks.
    fn blocks(&self) -> usize {
        1
    }

    /// The gradient in φ of a function that has the gradients ∂m and ∂L, of which the lower triangle counts.
    ///
    /// # Errors
    /// [`Error::Shape`] unless they have the shapes of m and L.
    fn pull_back(&self, by_mean: &DVector<f64>, by_factor: &DMatrix<f64>) -> Result<DVector<f64>>;

    /// z = m + Lε
    ///
    /// # Errors
    /// [`Error::Shape`] unless ε has the length of z.
    fn place(&self, noise: &DVector<f64>) -> Result<DVector<f64>> {
        same_length("the noise", self.dim(), noise.len())?;
        Ok(stacked(placed(self, &column(noise))))
    }

    /// ε = L⁻¹(z − m)
    ///
    /// # Errors
    /// [`Error::Shape`] unless z has its length, [`Error::NotFinite`], [`Error::Overflow`].
    fn noise(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        check_latent(self.dim(), z)?;
        let (k, n) = of_blocks(self, z.len());
        let mut noise = (z - self.mean()).reshape_generic(k, n);
        self.factor().solve_lower_triangular_unchecked_mut(&mut noise);
        in_range("the noise of the latent", &noise)?;
        Ok(stacked(noise))
    }

    /// ∇_z ln q(z) = −L⁻ᵀε
    ///
    /// # Errors
    /// Those of [`noise`](Self::noise).
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(stacked(gradient_ln_q(self, &column(&self.noise(z)?))?))
    }

    /// The score ∇_φ ln q_φ(z) at a fixed z: L⁻ᵀε in m and Σₙ L⁻ᵀεₙεₙᵀ − N diag(1/L) in L. Its mean under q is zero.
    ///
    /// # Errors
    /// Those of [`noise`](Self::noise).
    fn score(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        let noise = self.noise(z)?;
        score(self, &noise, &-stacked(gradient_ln_q(self, &column(&noise))?))
    }

    /// (∂z/∂φ)ᵀ v for z = m + Lε at a fixed ε: the gradient in φ of a function of z with the gradient v.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have the length of z.
    fn along_path(&self, noise: &DVector<f64>, v: &DVector<f64>) -> Result<DVector<f64>> {
        same_length("the noise", self.dim(), noise.len())?;
        same_length("the gradient in the latent", self.dim(), v.len())?;
        self.pull_back(v, &outer(self, v, noise))
    }

    /// H(q) = N (½ k (1 + ln 2π) + Σᵢ ln Lᵢᵢ), k the size of a block.
    fn entropy(&self) -> f64 {
        0.5 * self.dim() as f64 * (1.0 + (2.0 * PI).ln()) + ln_det(self)
    }

    /// ∇_φ H(q)
    ///
    /// # Errors
    /// None, for a family that is what it says.
    fn entropy_gradient(&self) -> Result<DVector<f64>> {
        self.pull_back(&DVector::zeros(self.dim()), &by_entropy(self))
    }

    /// q as a normal, N(m, LLᵀ).
    ///
    /// # Errors
    /// [`Error::Shape`] for more than one block; those of [`Gaussian::new`] where LLᵀ is singular to working precision.
    fn gaussian(&self) -> Result<Gaussian> {
        if self.blocks() != 1 {
            let found = format!("{} blocks", self.blocks());
            return Err(Error::Shape { what: "the latent of a normal", expected: "one block".into(), found });
        }
        Gaussian::new(self.mean(), self.factor() * self.factor().transpose())
    }
}

/// The blocks of one or more z, or of their noise, as the columns of one matrix.
fn blocks<'a>(q: &impl Family, z: &'a [f64]) -> DMatrixView<'a, f64> {
    let (k, n) = of_blocks(q, z.len());
    DMatrixView::from_slice_generic(z, k, n)
}

/// The shape of a matrix with so many entries, a column for each block.
fn of_blocks(q: &impl Family, entries: usize) -> (Dyn, Dyn) {
    let k = q.factor().nrows();
    (Dyn(k), Dyn(entries.checked_div(k).unwrap_or(0)))
}

/// z = m + Lε for each column ε.
pub(super) fn placed(q: &impl Family, noise: &DMatrix<f64>) -> DMatrix<f64> {
    let (mut z, mean) =
        ((q.factor() * blocks(q, noise.as_slice())).reshape_generic(Dyn(noise.nrows()), Dyn(noise.ncols())), q.mean());
    z.column_iter_mut().for_each(|mut z| z += &mean);
    z
}

/// ln q(z) = −½ (dim · ln 2π + ‖ε‖²) − N ln det L from the square of the noise.
pub(super) fn ln_q(q: &impl Family, square: f64) -> f64 {
    -0.5 * (square + q.dim() as f64 * (2.0 * PI).ln()) - ln_det(q)
}

/// ∇_z ln q(z) = −L⁻ᵀε for each column ε.
pub(super) fn gradient_ln_q(q: &impl Family, noise: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let (k, n) = of_blocks(q, noise.len());
    let mut gradient = (-noise).reshape_generic(k, n);
    q.factor().tr_solve_lower_triangular_unchecked_mut(&mut gradient);
    in_range("the gradient of ln q", &gradient)?;
    Ok(gradient.reshape_generic(Dyn(noise.nrows()), Dyn(noise.ncols())))
}

/// ∇_φ ln q_φ(z) from the noise of z and ∂m = L⁻ᵀε.
pub(super) fn score(q: &impl Family, noise: &DVector<f64>, by_mean: &DVector<f64>) -> Result<DVector<f64>> {
    q.pull_back(by_mean, &(outer(q, by_mean, noise) - by_entropy(q)))
}

/// Σₙ vₙεₙᵀ over the blocks.
fn outer(q: &impl Family, v: &DVector<f64>, noise: &DVector<f64>) -> DMatrix<f64> {
    blocks(q, v.as_slice()) * blocks(q, noise.as_slice()).transpose()
}

/// N ln det L
fn ln_det(q: &impl Family) -> f64 {
    q.blocks() as f64 * q.factor().diagonal().iter().map(|l| l.ln()).sum::<f64>()
}

/// ∂H/∂L = N diag(1/L)
pub(super) fn by_entropy(q: &impl Family) -> DMatrix<f64> {
    DMatrix::from_diagonal(&q.factor().diagonal().map(|l| q.blocks() as f64 / l))
}

macro_rules! normal {
    ($($family:ty),*) => {$(
        impl Density for $family {
            fn dim(&self) -> usize {
                self.factor.nrows() * self.blocks()
            }

            /// −½ (dim · ln 2π + ‖ε‖²) − N ln det L
            fn ln_pdf(&self, z: &DVector<f64>) -> Result<f64> {
                Ok(ln_q(self, self.noise(z)?.norm_squared()))
            }
        }

        impl Distribution<DVector<f64>> for $family {
            /// m + Lε
            fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> DVector<f64> {
                stacked(placed(self, &column(&noise(self, rng))))
            }
        }
    )*};
}

normal!(MeanField, FullRank, Amortised);

/// ε ~ N(0, I)
pub(super) fn noise<R: Rng + ?Sized>(q: &impl Density, rng: &mut R) -> DVector<f64> {
    DVector::from_fn(q.dim(), |_, _| StandardNormal.sample(rng))
}

/// Refuses what is not a factor's diagonal.
fn check_diagonal<'a>(diagonal: impl IntoIterator<Item = &'a f64>) -> Result<()> {
    match diagonal.into_iter().find(|l| !(**l > 0.0 && l.recip() > 0.0)) {
        None => Ok(()),
        Some(&value) => {
            let domain = "positive and finite: the covariance of q has left the cone; take smaller steps";
            Err(Error::Domain { what: "a standard deviation of q", value, domain })
        }
    }
}

fn check_parameters(length: usize, phi: &DVector<f64>) -> Result<()> {
    same_length("the parameters of q", length, phi.len())?;
    finite("the parameters of q", phi, |i| format!("entry {i}"))
}

fn check_gradients(q: &impl Family, by_mean: &DVector<f64>, by_factor: &DMatrix<f64>) -> Result<()> {
    let k = q.factor().nrows();
    same_length("the gradient in the mean", q.dim(), by_mean.len())?;
    same_length("the rows of the gradient in the factor", k, by_factor.nrows())?;
    same_length("the columns of the gradient in the factor", k, by_factor.ncols())
}

/// The positions of the lower triangle, column by column.
fn lower(k: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..k).flat_map(move |j| (j..k).map(move |i| (i, j)))
}

/// The lower triangle, the logarithms of the diagonal in its place.
fn factor_parameters(factor: &DMatrix<f64>) -> impl Iterator<Item = f64> {
    lower(factor.nrows()).map(|(i, j)| if i == j { factor[(i, i)].ln() } else { factor[(i, j)] })
}

fn factor_at<'a>(k: usize, parameters: impl IntoIterator<Item = &'a f64>) -> Result<DMatrix<f64>> {
    let mut factor = DMatrix::zeros(k, k);
    for ((i, j), &parameter) in lower(k).zip(parameters) {
        factor[(i, j)] = if i == j { parameter.exp() } else { parameter };
    }
    check_diagonal(&factor.diagonal())?;
    Ok(factor)
}

/// d/d ln Lᵢᵢ = Lᵢᵢ d/dLᵢᵢ
fn factor_gradient(factor: &DMatrix<f64>, by_factor: &DMatrix<f64>) -> impl Iterator<Item = f64> {
    let scale = |(i, j)| if i == j { factor[(i, i)] } else { 1.0 };
    lower(factor.nrows()).map(move |at| scale(at) * by_factor[at])
}

fn join<'a>(mean: &'a DVector<f64>, rest: impl IntoIterator<Item = f64> + 'a) -> DVector<f64> {
    DVector::from_vec(mean.iter().copied().chain(rest).collect())
}

/// The normals with independent entries, N(m, diag σ²), by φ = (m, ln σ).
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let q = MeanField::new(dvector![1.0, 0.0], dvector![2.0, 0.5])?;
/// assert_eq!(q.gaussian()?.covariance(), &dmatrix![4.0, 0.0; 0.0, 0.25]);
/// assert_eq!(q.parameters(), dvector![1.0, 0.0, 2.0_f64.ln(), 0.5_f64.ln()]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MeanField {
    mean: DVector<f64>,
    factor: DMatrix<f64>,
}

impl MeanField {
    /// N(m, diag σ²) from the mean and the standard deviations σ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless both have one length d > 0, [`Error::NotFinite`], [`Error::Domain`] unless σ > 0.
    pub fn new(mean: DVector<f64>, deviations: DVector<f64>) -> Result<Self> {
        Gaussian::standard(mean.len())?;
        same_length("the standard deviations of q", mean.len(), deviations.len())?;
        finite("the mean", &mean, |i| format!("entry {i}"))?;
        check_diagonal(&deviations)?;
        Ok(Self { mean, factor: DMatrix::from_diagonal(&deviations) })
    }

    /// N(0, I) on ℝᵈ.
    ///
    /// # Errors
    /// [`Error::Shape`] for d = 0.
    pub fn standard(d: usize) -> Result<Self> {
        Self::new(DVector::zeros(d), DVector::repeat(d, 1.0))
    }

    /// The member with the smallest D(q‖p) for a normal p = N(μ, Σ): its mean is μ and its variances are the 1/(Σ⁻¹)ᵢᵢ, what is left of
    /// Σᵢᵢ once the other entries are known.
    ///
    /// # Errors
    /// None, for a normal with finite variances.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let p = Gaussian::new(dvector![0.0, 0.0], dmatrix![1.0, 0.8; 0.8, 1.0])?;
    /// let variance = MeanField::closest(&p)?.gaussian()?.covariance()[0];
    /// assert!((variance - (1.0 - 0.8 * 0.8)).abs() < 1e-15);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Source: Bishop (2006), *Pattern Recognition and Machine Learning*, §10.1.2.
    pub fn closest(p: &Gaussian) -> Result<Self> {
        let inflation = variance_inflation(p.covariance(), p.cholesky_factor());
        let variances = p.covariance().diagonal().zip_map(&DVector::from_vec(inflation), |v, f| v / f);
        Self::new(p.mean().clone(), variances.map(f64::sqrt))
    }
}

impl Family for MeanField {
    fn parameters(&self) -> DVector<f64> {
        join(&self.mean, self.factor.diagonal().map(f64::ln).iter().copied())
    }

    fn with_parameters(&self, phi: &DVector<f64>) -> Result<Self> {
        let d = self.mean.len();
        check_parameters(2 * d, phi)?;
        Self::new(phi.rows(0, d).into_owned(), phi.rows(d, d).map(f64::exp))
    }

    fn mean(&self) -> DVector<f64> {
        self.mean.clone()
    }

    fn factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    fn pull_back(&self, by_mean: &DVector<f64>, by_factor: &DMatrix<f64>) -> Result<DVector<f64>> {
        check_gradients(self, by_mean, by_factor)?;
        Ok(join(by_mean, self.factor.diagonal().component_mul(&by_factor.diagonal()).iter().copied()))
    }
}

/// All normals N(m, LLᵀ), by φ = (m, L): the lower triangle of L column by column, with the logarithms of its diagonal.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let p = Gaussian::new(dvector![1.0, 0.0], dmatrix![4.0, 2.0; 2.0, 2.0])?;
/// let q = FullRank::from(p.clone());
/// assert_eq!(q.parameters(), dvector![1.0, 0.0, 2.0_f64.ln(), 1.0, 0.0]);
/// assert_eq!(q.gaussian()?, p);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FullRank {
    mean: DVector<f64>,
    factor: DMatrix<f64>,
}

impl FullRank {
    /// N(m, Σ).
    ///
    /// # Errors
    /// Those of [`Gaussian::new`].
    pub fn new(mean: DVector<f64>, covariance: DMatrix<f64>) -> Result<Self> {
        Ok(Gaussian::new(mean, covariance)?.into())
    }

    /// N(0, I) on ℝᵈ.
    ///
    /// # Errors
    /// [`Error::Shape`] for d = 0.
    pub fn standard(d: usize) -> Result<Self> {
        Ok(Gaussian::standard(d)?.into())
    }
}

impl From<Gaussian> for FullRank {
    fn from(p: Gaussian) -> Self {
        Self { mean: p.mean().clone(), factor: p.cholesky_factor().clone() }
    }
}

impl Family for FullRank {
    fn parameters(&self) -> DVector<f64> {
        join(&self.mean, factor_parameters(&self.factor))
    }

    fn with_parameters(&self, phi: &DVector<f64>) -> Result<Self> {
        let d = self.mean.len();
        check_parameters(d + d * (d + 1) / 2, phi)?;
        Ok(Self { mean: phi.rows(0, d).into_owned(), factor: factor_at(d, phi.iter().skip(d))? })
    }

    fn mean(&self) -> DVector<f64> {
        self.mean.clone()
    }

    fn factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    fn pull_back(&self, by_mean: &DVector<f64>, by_factor: &DMatrix<f64>) -> Result<DVector<f64>> {
        check_gradients(self, by_mean, by_factor)?;
        Ok(join(by_mean, factor_gradient(&self.factor, by_factor)))
    }
}

/// A linear amortised family: one q(z | x) = N(A(x − x̄) + c, LLᵀ) for all samples, by φ = (A, c, L): A column by column, L as in
/// [`FullRank`]. The latent of all N samples together is z = (z₁, …, z_N).
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let q = Amortised::new(&dmatrix![1.0, 0.0; 3.0, 4.0], dmatrix![1.0, 0.5], dvector![0.0], dmatrix![0.25])?;
/// assert_eq!(q.mean(), dvector![-2.0, 2.0]);
/// assert_eq!(q.given(&dvector![4.0, 2.0])?, Gaussian::univariate(2.0, 0.25)?);
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Kingma and Welling (2014), *Auto-encoding variational Bayes*, ICLR, with a linear encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Amortised {
    /// x − x̄
    centred: Arc<Rows>,
    center: DVector<f64>,
    slope: DMatrix<f64>,
    shift: DVector<f64>,
    factor: DMatrix<f64>,
}

impl Amortised {
    /// The family on the rows x of an N×p matrix, at a k×p matrix A, c of length k and a k×k covariance LLᵀ.
    ///
    /// # Errors
    /// [`Error::Shape`] if they disagree, or for no sample; [`Error::NotFinite`], [`Error::Overflow`]; those of [`Gaussian::new`]
    /// for the covariance.
    pub fn new(
        data: &DMatrix<f64>,
        slope: DMatrix<f64>,
        shift: DVector<f64>,
        covariance: DMatrix<f64>,
    ) -> Result<Self> {
        let (centred, center) = centred(data)?;
        same_length("the slope's columns", data.ncols(), slope.ncols())?;
        same_length("the slope's rows", shift.len(), slope.nrows())?;
        finite_matrix("the slope", &slope)?;
        let normal = Gaussian::new(shift, covariance)?;
        let (shift, factor) = (normal.mean().clone(), normal.cholesky_factor().clone());
        Ok(Self { centred: Arc::new(centred), center, slope, shift, factor })
    }

    /// q(z | x) of one x.
    ///
    /// # Errors
    /// [`Error::Shape`] unless x has length p, [`Error::NotFinite`]; those of [`Gaussian::new`].
    pub fn given(&self, x: &DVector<f64>) -> Result<Gaussian> {
        same_length("the sample", self.center.len(), x.len())?;
        let mean = &self.slope * (x - &self.center) + &self.shift;
        Gaussian::new(mean, &self.factor * self.factor.transpose())
    }
}

/// The samples less their mean, and their mean.
pub(super) fn centred(data: &DMatrix<f64>) -> Result<(Rows, DVector<f64>)> {
    if data.is_empty() {
        let (rows, columns) = data.shape();
        let found = format!("{rows}×{columns}");
        return Err(Error::Shape { what: "the data", expected: "at least one sample and one column".into(), found });
    }
    let mean = crate::mle::GaussianStats::from_rows(data)?.mean().clone();
    let mut centred = data.clone();
    centred.column_iter_mut().zip(&mean).for_each(|(mut column, mean)| column.add_scalar_mut(-mean));
    in_range("the centred data", &centred)?;
    Ok((Rows::new(&centred), mean))
}

impl Family for Amortised {
    fn parameters(&self) -> DVector<f64> {
        let means = self.slope.iter().chain(&self.shift).copied();
        DVector::from_vec(means.chain(factor_parameters(&self.factor)).collect())
    }

    fn with_parameters(&self, phi: &DVector<f64>) -> Result<Self> {
        let ((k, p), slopes) = (self.slope.shape(), self.slope.len());
        check_parameters(slopes + k + k * (k + 1) / 2, phi)?;
        let factor = factor_at(k, phi.iter().skip(slopes + k))?;
        let slope = DMatrix::from_column_slice(k, p, &phi.as_slice()[..slopes]);
        Ok(Self { slope, shift: phi.rows(slopes, k).into_owned(), factor, ..self.clone() })
    }

    fn mean(&self) -> DVector<f64> {
        let (k, slope) = (self.shift.len(), self.slope.transpose());
        let means = self.centred.pieces(slope.len(), |_, x| product(x, &slope));
        let mut means = stacked_rows(self.blocks(), k, &means);
        means
            .as_mut_slice()
            .chunks_exact_mut(k)
            .for_each(|mean| mean.iter_mut().zip(&self.shift).for_each(|(m, c)| *m += c));
        means
    }

    fn factor(&self) -> &DMatrix<f64> {
        &self.factor
    }

    fn blocks(&self) -> usize {
        self.centred.count()
    }

    /// Σₙ ∂mₙ (xₙ − x̄)ᵀ in A and Σₙ ∂mₙ in c.
    fn pull_back(&self, by_mean: &DVector<f64>, by_factor: &DMatrix<f64>) -> Result<DVector<f64>> {
        check_gradients(self, by_mean, by_factor)?;
        let (k, p) = self.slope.shape();
        let by_slope = self
            .centred
            .pieces(k * p, |samples, x| product_over_rows(&lay(samples, k, |n, i| by_mean[n * k + i]), k, x, p));
        let by_slope = by_slope.iter().sum::<DMatrix<f64>>();
        let by_shift = blocks(self, by_mean.as_slice()).column_sum();
        let means = by_slope.iter().chain(&by_shift).copied();
        Ok(DVector::from_vec(means.chain(factor_gradient(&self.factor, by_factor)).collect()))
    }
}

/// A family with the Fisher information F(φ) = E_q ∇ ln q ∇ ln qᵀ in closed form.
pub trait Fisher: Family {
    /// The natural gradient F(φ)⁻¹ g: the direction in which a function with the gradient g rises most for the divergence that a
    /// step makes.
    ///
    /// # Errors
    /// [`Error::Shape`] unless g has the length of φ.
    fn natural_gradient(&self, gradient: &DVector<f64>) -> Result<DVector<f64>>;
}

impl Fisher for MeanField {
    /// F = diag(1/σ², 2): σ² g in the mean and ½ g in ln σ.
    ///
    /// Source: Amari (1998), *Neural Computation* 10, 251–276.
    fn natural_gradient(&self, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        let d = self.mean.len();
        same_length("the gradient", 2 * d, gradient.len())?;
        let variances = self.factor.diagonal().map(|s| s * s);
        let by_mean = gradient.rows(0, d).component_mul(&variances);
        Ok(join(&by_mean, gradient.rows(d, d).iter().map(|g| 0.5 * g)))
    }
}

impl Fisher for FullRank {
    /// LLᵀ g in the mean. With dL = LM, M lower triangular, D = ½ Σ_{i>j} Mᵢⱼ² + Σᵢ Mᵢᵢ² to second order, so that M is the lower
    /// triangle of Lᵀ ∂L with its diagonal halved.
    ///
    /// Source: Lin, Nielsen, Khan and Schmidt (2021), *Tractable structured natural-gradient descent using local parameterizations*,
    /// ICML, §3.
    fn natural_gradient(&self, gradient: &DVector<f64>) -> Result<DVector<f64>> {
        let (l, d) = (&self.factor, self.mean.len());
        same_length("the gradient", d + d * (d + 1) / 2, gradient.len())?;
        let by_mean = l * l.tr_mul(&gradient.rows(0, d));
        let mut by_factor = DMatrix::zeros(d, d);
        for ((i, j), &g) in lower(d).zip(gradient.iter().skip(d)) {
            by_factor[(i, j)] = if i == j { g / l[(i, i)] } else { g };
        }
        let mut m = l.tr_mul(&by_factor).lower_triangle();
        (0..d).for_each(|i| m[(i, i)] *= 0.5);
        let change = l * &m;
        Ok(join(&by_mean, lower(d).map(|(i, j)| if i == j { m[(i, i)] } else { change[(i, j)] })))
    }
}
