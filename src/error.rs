//! What can go wrong, in one type: every message names the value at fault and what to do about it.

use nalgebra::DMatrix;
use polars::prelude::DataFrame;
use std::fmt;
use std::path::PathBuf;

/// The error of every fallible function of this crate. A `main` that ends with it, and an `unwrap`, show its message.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that must be finite is NaN or infinite.
    #[error("{what} holds {value} at {at}; remove or replace such values first")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// The offending value.
        value: f64,
        /// Where it stands: "row 3, column 1" or "entry 2".
        at: String,
    },
    /// Two shapes that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The argument.
        what: &'static str,
        /// The shape that was needed.
        expected: String,
        /// The shape that came.
        found: String,
    },
    /// A covariance whose two triangles differ.
    #[error(
        "the covariance is not symmetric: entry ({row}, {column}) is {value} but entry ({column}, {row}) is {mirrored}; \
         average the two triangles if they differ by rounding alone"
    )]
    NotSymmetric {
        /// Row of the entry, from 0.
        row: usize,
        /// Column of the entry, from 0.
        column: usize,
        /// The entry.
        value: f64,
        /// The entry across the diagonal.
        mirrored: f64,
    },
    /// A covariance that is not positive definite to working precision. A pivot that is noise in another order of the variables
    /// counts too: it is then what all other variables leave of the diagonal entry.
    #[error(
        "the covariance is not positive definite: pivot {index} of its Cholesky factorisation is {pivot:e} where the \
         diagonal entry is {diagonal:e}; drop the variables that are linear combinations of others"
    )]
    NotPositiveDefinite {
        /// Index of the pivot, from 0.
        index: usize,
        /// Its value (what is left of the diagonal entry).
        pivot: f64,
        /// The diagonal entry it started from.
        diagonal: f64,
    },
    /// A matrix whose rows are linearly dependent, so that the image of a normal under it has no density.
    #[error(
        "the image of the normal has rank {rank} and the matrix {rows} rows, so that it has no density; \
         drop rows that are linear combinations of others"
    )]
    RankDeficient {
        /// The rank of the image's covariance.
        rank: usize,
        /// The number of the matrix's rows.
        rows: usize,
    },
    /// A result too large for double precision.
    #[error("{what} exceeds the range of double precision, 1.8e308; change the units of the variables")]
    Overflow {
        /// The result.
        what: &'static str,
    },
    /// Too few samples for what was asked.
    #[error("{what} needs at least {needed} samples, one more than there are variables; found {found}")]
    TooFewSamples {
        /// What was asked for.
        what: &'static str,
        /// The smallest number that will do.
        needed: usize,
        /// The number that came.
        found: usize,
    },
    /// Samples that lie in a proper affine subspace, so that no maximum of the likelihood exists.
    #[error(
        "the samples span only {rank} of {dim} dimensions, so the likelihood of a normal has no maximum; \
         drop constant columns and columns that are linear combinations of others"
    )]
    Degenerate {
        /// The rank of the centred samples.
        rank: usize,
        /// The number of variables.
        dim: usize,
    },
    /// A parameter outside its domain.
    #[error("{what} is {value}; it must be {domain}")]
    Domain {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The values that it may take.
        domain: &'static str,
    },
    /// A numerical method that did not reach the accuracy that was asked for.
    #[error(
        "{what} is {value} with an error of {error:e}, above the tolerance {tolerance:e}; split the range at kinks and narrow \
         peaks, give the place and scale on which the integrand lives, or allow a larger error"
    )]
    NotConverged {
        /// What was computed.
        what: &'static str,
        /// The last value.
        value: f64,
        /// Its estimated error.
        error: f64,
        /// The error that was allowed.
        tolerance: f64,
    },
    /// Something that is known for other arguments in closed form.
    #[error("{what} has no closed form; take {instead}")]
    NoClosedForm {
        /// What was asked for.
        what: &'static str,
        /// What to compute it with.
        instead: &'static str,
    },
    /// A number that cannot be a count.
    #[error("the count at {at} is {value}; it must be a whole number from 0 to 2⁵³: mend or remove that row")]
    Count {
        /// The number.
        value: f64,
        /// Where it stands.
        at: String,
    },
    /// A log density or log weight that is NaN or ∞.
    #[error(
        "{what} is {value} at θ = {at:?}; it must be a number, or −∞ where the density is zero: keep to where it is finite"
    )]
    LnDensity {
        /// What was computed.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The parameter.
        at: Vec<f64>,
    },
    /// An ascent that ended without a maximum.
    #[error(
        "the ascent found no maximum: after {steps} steps, at θ = {at:?} with the value {value} and an expected gain of {gain:e}, \
         {problem}"
    )]
    NoMaximum {
        /// How many steps it took.
        steps: usize,
        /// The last parameter.
        at: Vec<f64>,
        /// The value there.
        value: f64,
        /// What another step promises, in nats.
        gain: f64,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A component of a mixture that shrinks onto a few samples, where the likelihood has no maximum.
    #[error(
        "component {component} of the mixture has collapsed onto {samples:.1} samples, where the likelihood grows without bound; take fewer \
         components or more starts, and drop repeated samples"
    )]
    Collapse {
        /// Index of the component, from 0.
        component: usize,
        /// The sum of its responsibilities.
        samples: f64,
    },
    /// A gradient ascent on the ELBO that went wrong on its way.
    #[error(
        "the ascent failed after {steps} good steps: {problem}. Take a smaller rate, more draws or another start; the error holds the \
         last good parameters of q and the history"
    )]
    Ascent {
        /// How many steps have an ELBO and a gradient.
        steps: usize,
        /// φ at the last of them.
        parameters: Vec<f64>,
        /// The history of these steps.
        history: Box<DataFrame>,
        /// What went wrong then.
        problem: Box<Error>,
    },
    /// A one-dimensional family that refuses its parameters.
    #[error("statrs refuses the parameters: {0}; see the family's domain")]
    Family(String),
    /// A column that the frame does not have.
    #[error("there is no column {name:?}; the frame has {}", available.join(", "))]
    NoColumn {
        /// The name asked for.
        name: String,
        /// The names that the frame has.
        available: Vec<String>,
    },
    /// A column with a type or a missing value that the operation cannot use.
    #[error("column {name:?}: {problem}")]
    Column {
        /// The column.
        name: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// A data file that is missing, unreadable or malformed.
    #[error("{}: {problem}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line and column where they are known.
        problem: String,
    },
    /// A figure that could not be drawn.
    #[error("the figure could not be drawn: {0}")]
    Figure(String),
    /// An error of polars.
    #[error(transparent)]
    Polars(#[from] polars::error::PolarsError),
}

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Refuses the first value of `values` that is NaN or infinite; `at` says where index `i` stands.
pub(crate) fn finite<'a>(
    what: &'static str,
    values: impl IntoIterator<Item = &'a f64>,
    at: impl Fn(usize) -> String,
) -> Result<()> {
    match values.into_iter().enumerate().find(|(_, v)| !v.is_finite()) {
        Some((i, &value)) => Err(Error::NotFinite { what, value, at: at(i) }),
        None => Ok(()),
    }
}

/// [`finite`] for a matrix, whose entries stand in a row and a column.
pub(crate) fn finite_matrix(what: &'static str, matrix: &DMatrix<f64>) -> Result<()> {
    finite(what, matrix, |i| format!("row {}, column {}", i % matrix.nrows(), i / matrix.nrows()))
}

/// Refuses a result that has overflowed; what it was computed from is finite.
pub(crate) fn in_range<'a>(what: &'static str, values: impl IntoIterator<Item = &'a f64>) -> Result<()> {
    if values.into_iter().all(|v| v.is_finite()) { Ok(()) } else { Err(Error::Overflow { what }) }
}
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
