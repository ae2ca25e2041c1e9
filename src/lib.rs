//! Maximum likelihood, the Kullback–Leibler divergence and the evidence lower bound, with every closed form held against
//! an independent check. The notebooks of this project work through a lecture with it; it also serves on its own.
//!
//! Data are N×d matrices with samples as rows, logarithms are natural, and every fallible function returns
//! [`Result`](error::Result); nothing here panics on bad input.
//!
//! | module | what is in it |
//! |---|---|
//! | [`gaussian`] | the d-variate normal distribution |
//! | [`mixture`] | mixtures of normals, and their maximum likelihood fit |
//! | [`categorical`] | distributions on finitely many outcomes |
//! | [`univariate`] | one-dimensional families, from statrs |
//! | [`mle`] | log likelihood, mergeable sufficient statistics, the fit, gradients |
//! | [`bayes`] | conjugate pairs, posteriors on a grid, the maximum of a posterior, evidence |
//! | [`kl`] | the Kullback–Leibler divergence, entropy, cross-entropy, total variation |
//! | [`elbo`] | variational inference: models, families, gradients of the ELBO, ascent |
//! | [`monte_carlo`] | random numbers by name, estimates with standard errors |
//! | [`check`] | a closed form against an estimate, as a test with stated error probabilities |
//! | [`quadrature`] | integrals with an estimate of their error |
//! | [`curve`] | functions and densities at points |
//! | `larger_than_memory` | statistics and log likelihoods of files larger than memory (feature `streaming`) |
//! | [`data`] | real data sets as frames, frames to matrices |
//! | [`figure`] | plots from frames |
//! | [`display`] | frames, matrices and figures in a notebook |

#![warn(missing_docs)]

pub mod bayes;
pub mod categorical;
pub mod check;
pub mod curve;
pub mod data;
pub mod display;
pub mod elbo;
pub mod error;
pub mod figure;
pub mod gaussian;
pub mod kl;
#[cfg(feature = "streaming")]
pub mod larger_than_memory;
pub mod mixture;
pub mod mle;
pub mod monte_carlo;
pub mod quadrature;
pub mod univariate;

pub use {nalgebra, num_dual, plotters, polars, rand, rand_chacha, rand_distr, serde, statrs};

/// What a notebook needs: `use generative_models::prelude::*;`
pub mod prelude {
    pub use crate::bayes::{
        BetaBernoulli, Conjugate, Counts, GammaPoisson, GridPosterior, ImportanceWeights, NormalInverseGamma,
        NormalMean, maximise,
    };
    pub use crate::categorical::Categorical;
    pub use crate::check::{Bound, DistributionFunction, Exact, JointDistributionFunction, MonteCarlo, Power};
    pub use crate::curve::{densities, geomspace, linspace, values};
    pub use crate::data;
    pub use crate::display::Show;
    pub use crate::elbo::{
        Adam, Amortised, Analytic, AnalyticEntropy, AnalyticKl, Draws, DualModel, Family, Fisher, Fit, FullRank,
        GradientEstimator, LeaveOneOut, LinearGaussian, LogisticRegression, MeanField, MixtureMeans, Model, Natural,
        NormalPrior, Plain, Ppca, Progress, Quadratic, Reparameterized, ScoreFunction, StickingTheLanding,
        VariationalInference, elbo, elbo_by_monte_carlo, gradient_estimates, importance_weights,
    };
    pub use crate::error::{Error, Result};
    pub use crate::figure::Figure;
    pub use crate::gaussian::{Density, Gaussian};
    pub use crate::kl::{
        bretagnolle_huber, cross_entropy, entropy, kl, kl_by_monte_carlo, kl_by_quadrature, pinsker, total_variation,
        total_variation_by_monte_carlo, total_variation_by_quadrature,
    };
    pub use crate::mixture::{ExpectationMaximisation, Mixture, MixtureFit, ln_sum_exp};
    pub use crate::mle::{GaussianStats, ln_likelihood};
    pub use crate::monte_carlo::{Estimate, Generator, draws, estimate, estimates, rng};
    pub use crate::quadrature::{Quadrature, cubature, gauss_hermite, integrate, integrate_half_line, integrate_line};
    pub use crate::univariate::Univariate;
    // The macros `dmatrix!` and `dvector!` expand to paths that start with the crate's name.
    pub use nalgebra::{self, DMatrix, DVector, dmatrix, dvector};
    pub use polars::prelude::{DataFrame, IntoLazy, LazyFrame, NamedFrom, Series, col, df, lit};
    pub use rand::{Rng, RngExt};
    pub use rand_distr::{Distribution, StandardNormal};
    // The methods of statrs's families, without a name that would clash with rand's `Distribution`.
    pub use statrs::distribution::{Continuous, ContinuousCDF, Discrete, DiscreteCDF};
    pub use statrs::statistics::Distribution as _;
    pub use std::f64::consts::PI;
}
