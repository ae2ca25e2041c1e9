//! What a model has to tell of itself.

use crate::error::{Error, Result, finite};
use crate::gaussian::{Density, Gaussian, same_length, sum};
use crate::mixture::Mixture;
use nalgebra::allocator::Allocator;
use nalgebra::{Const, DMatrix, DVector, DefaultAllocator, Dim, Dyn, OMatrix, SVector};
use num_dual::DualSVec64;
use std::sync::Arc;

/// ln p_θ(x, z) and its gradients at some z, a column for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    /// ln p_θ(x, z)
    pub ln_p: DVector<f64>,
    /// ∇_z ln p_θ(x, z)
    pub gradient: DMatrix<f64>,
    /// ∇_θ ln p_θ(x, z)
    pub model_gradient: DMatrix<f64>,
}

impl Joint {
    /// From ln p and its gradients in z and θ at one z.
    pub(super) fn by_column(
        z: &DMatrix<f64>,
        at: impl Fn(&DVector<f64>) -> Result<(f64, DVector<f64>, DVector<f64>)>,
    ) -> Result<Self> {
        let (mut ln_p, mut gradient, mut model_gradient) = (vec![], vec![], vec![]);
        for z in columns(z) {
            let (value, by_z, by_theta) = at(&z)?;
            ln_p.push(value);
            gradient.push(by_z);
            model_gradient.push(by_theta);
        }
        let of_model = model_gradient.first().map_or(0, DVector::len);
        Ok(Self {
            ln_p: DVector::from_vec(ln_p),
            gradient: beside("the gradient in the latent", z.nrows(), &gradient)?,
            model_gradient: beside("the gradient in θ", of_model, &model_gradient)?,
        })
    }
}

/// A model with its data inside: ln p_θ(x, z) as a function of the latent z, with its gradient.
///
/// The parameters θ are those that an ascent may change beside those of q; most models have none. A [`Gaussian`] or a [`Mixture`] is a
/// model without data: p(z) itself is the posterior, and the evidence is 1.
pub trait Model {
    /// The dimension of z.
    fn latent_dim(&self) -> usize;

    /// ln p_θ(x, z), −∞ where the density is zero.
    ///
    /// # Errors
    /// [`Error::Shape`] unless z has the model's dimension, [`Error::NotFinite`].
    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64>;

    /// ∇_z ln p_θ(x, z).
    ///
    /// # Errors
    /// Those of [`ln_joint`](Self::ln_joint), [`Error::Overflow`].
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>>;

    /// ln p_θ(x, z) and its gradients at each column of a matrix: what they share, and what many z share, is computed once. What an
    /// ascent takes most of its time for; by [`ln_joint`](Self::ln_joint), [`gradient`](Self::gradient) and
    /// [`gradient_parameters`](Self::gradient_parameters), unless the model has a faster way to the same.
    ///
    /// # Errors
    /// Those of [`gradient`](Self::gradient).
    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        Joint::by_column(z, |z| Ok((self.ln_joint(z)?, self.gradient(z)?, self.gradient_parameters(z)?)))
    }

    /// θ, without constraints; none unless the model says otherwise.
    fn parameters(&self) -> DVector<f64> {
        DVector::zeros(0)
    }

    /// Takes another θ.
    ///
    /// # Errors
    /// [`Error::Shape`] unless θ has its length, [`Error::NotFinite`], [`Error::Domain`] where it leaves what double precision holds; the
    /// model is then unchanged.
    fn set_parameters(&mut self, theta: &DVector<f64>) -> Result<()> {
        same_length("the model's parameters", 0, theta.len())
    }

    /// ∇_θ ln p_θ(x, z).
    ///
    /// # Errors
    /// Those of [`ln_joint`](Self::ln_joint).
    fn gradient_parameters(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        same_length("the latent", self.latent_dim(), z.len())?;
        Ok(DVector::zeros(0))
    }
}

/// A model with a normal prior, ln p(x, z) = ln p(x | z) + ln N(z; m, P).
pub trait NormalPrior: Model {
    /// p(z)
    fn prior(&self) -> &Gaussian;

    /// ln p(x | z)
    ///
    /// # Errors
    /// Those of [`Model::ln_joint`].
    fn ln_likelihood(&self, z: &DVector<f64>) -> Result<f64>;
}

/// A model whose ln p_θ(x, z) is quadratic in z, so that its expectation under a normal is a closed form: its z is N independent
/// blocks of one size, and −∇² of each is the same matrix Λ.
pub trait Quadratic: Model {
    /// Λ = −∇²_z ln p_θ(x, z) of one block: the precision of its posterior.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    fn precision(&self) -> Result<DMatrix<f64>>;

    /// ∇_θ of −½ tr ΛC for a symmetric matrix C.
    ///
    /// # Errors
    /// [`Error::Shape`] unless C is of Λ's shape.
    fn gradient_precision(&self, c: &DMatrix<f64>) -> Result<DVector<f64>> {
        let precision = self.precision()?;
        same_length("the matrix beside the precision", precision.nrows(), c.nrows())?;
        Ok(DVector::zeros(0))
    }
}

/// The columns as vectors, copied at once; `into_owned` of a view goes entry by entry.
pub(super) fn columns(matrix: &DMatrix<f64>) -> impl Iterator<Item = DVector<f64>> {
    matrix.column_iter().map(|column| DVector::from_column_slice(column.as_slice()))
}

/// The columns of a matrix below each other.
pub(super) fn stacked(columns: DMatrix<f64>) -> DVector<f64> {
    let length = columns.len();
    columns.reshape_generic(Dyn(length), Const::<1>)
}

/// Vectors side by side, all of the one length.
pub(super) fn beside(what: &'static str, length: usize, vectors: &[DVector<f64>]) -> Result<DMatrix<f64>> {
    vectors.iter().try_for_each(|vector| same_length(what, length, vector.len()))?;
    let mut matrix = DMatrix::zeros(length, vectors.len());
    matrix.column_iter_mut().zip(vectors).for_each(|(mut column, vector)| column.copy_from(vector));
    Ok(matrix)
}

/// z of the right length, its entries finite; or a matrix with such columns.
pub(super) fn check_latent<C: Dim>(d: usize, z: &OMatrix<f64, Dyn, C>) -> Result<()>
where
    DefaultAllocator: Allocator<Dyn, C>,
{
    same_length("the latent", d, z.nrows())?;
    // Of many entries a sum is faster to look at than each.
    if sum(z.as_slice()).is_finite() {
        return Ok(());
    }
    finite("the latent", z, |i| format!("entry {}", i % d))
}

/// z as a matrix of one column.
pub(super) fn column(z: &DVector<f64>) -> DMatrix<f64> {
    DMatrix::from_column_slice(z.len(), 1, z.as_slice())
}

/// Σ⁻¹ v
pub(super) fn solve(normal: &Gaussian, v: DVector<f64>) -> Result<DVector<f64>> {
    Ok(stacked(normal.solve_covariance(&column(&v))?))
}

/// ∇ ln p(z) = −Σ⁻¹(z − μ).
pub(super) fn gradient_ln_pdf(p: &Gaussian, z: &DVector<f64>) -> Result<DVector<f64>> {
    check_latent(p.dim(), z)?;
    solve(p, p.mean() - z)
}

impl Model for Gaussian {
    fn latent_dim(&self) -> usize {
        self.dim()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        self.ln_pdf(z)
    }

    /// −Σ⁻¹(z − μ)
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        gradient_ln_pdf(self, z)
    }

    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        check_latent(self.dim(), z)?;
        let mut from_mean = -z;
        from_mean.column_iter_mut().for_each(|mut column| column += self.mean());
        Ok(Joint {
            ln_p: self.ln_pdf_rows(&z.transpose())?,
            gradient: self.solve_covariance(&from_mean)?,
            model_gradient: DMatrix::zeros(0, z.ncols()),
        })
    }
}

impl Quadratic for Gaussian {
    fn precision(&self) -> Result<DMatrix<f64>> {
        let d = self.dim();
        self.solve_covariance(&DMatrix::identity(d, d))
    }
}

impl Model for Mixture {
    fn latent_dim(&self) -> usize {
        self.dim()
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        self.ln_pdf(z)
    }

    /// −Σₖ P(k | z) Σₖ⁻¹(z − μₖ)
    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        let responsibilities = self.responsibilities(z)?;
        let mut gradient = DVector::zeros(z.len());
        for (k, p) in self.components().iter().enumerate() {
            gradient += gradient_ln_pdf(p, z)? * responsibilities.pmf(k);
        }
        Ok(gradient)
    }
}

/// ln p(x, z) as a function of dual numbers.
type LnJoint<const D: usize> = dyn Fn(SVector<DualSVec64<D>, D>) -> DualSVec64<D> + Send + Sync;

/// A model from the function z ↦ ln p(x, z) alone, in D dimensions: dual numbers carry the gradient through it.
///
/// # Example
/// ```
/// use generative_models::num_dual::DualNum;
/// use generative_models::prelude::*;
/// // z = ln θ with θ ~ Gamma(3, 2), its density of z up to a constant.
/// let model = DualModel::<1>::new(|z| z[0] * 3.0 - z[0].exp() * 2.0);
/// assert_eq!(model.ln_joint(&dvector![0.0])?, -2.0);
/// assert_eq!(model.gradient(&dvector![0.0])?, dvector![1.0]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct DualModel<const D: usize> {
    ln_joint: Arc<LnJoint<D>>,
}

impl<const D: usize> DualModel<D> {
    /// The model with this ln p(x, z); its data belong to the closure.
    pub fn new(ln_joint: impl Fn(SVector<DualSVec64<D>, D>) -> DualSVec64<D> + Send + Sync + 'static) -> Self {
        Self { ln_joint: Arc::new(ln_joint) }
    }

    fn at(&self, z: &DVector<f64>) -> Result<(f64, DVector<f64>)> {
        check_latent(D, z)?;
        let (value, gradient) = num_dual::gradient(&*self.ln_joint, &SVector::from_column_slice(z.as_slice()));
        if value < f64::INFINITY {
            return Ok((value, DVector::from_column_slice(gradient.as_slice())));
        }
        Err(Error::LnDensity { what: "ln p(x, z)", value, at: z.as_slice().to_vec() })
    }
}

impl<const D: usize> std::fmt::Debug for DualModel<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DualModel<{D}>")
    }
}

impl<const D: usize> Model for DualModel<D> {
    fn latent_dim(&self) -> usize {
        D
    }

    fn ln_joint(&self, z: &DVector<f64>) -> Result<f64> {
        Ok(self.at(z)?.0)
    }

    fn gradient(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        Ok(self.at(z)?.1)
    }

    fn joint(&self, z: &DMatrix<f64>) -> Result<Joint> {
        Joint::by_column(z, |z| self.at(z).map(|(ln_p, gradient)| (ln_p, gradient, DVector::zeros(0))))
    }
}
