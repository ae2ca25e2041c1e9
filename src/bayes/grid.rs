//! A posterior by its values on a grid.

use super::ln_density;
use crate::error::{Error, Result, finite};
use crate::gaussian::same_length;
use crate::mixture::ln_sum_exp;
use crate::quadrature::{Integrand, Quadrature};
use nalgebra::{DMatrix, DVector};
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use std::fmt::Display;
use std::ops::Range;

/// More cells than this do not fit into the memory of a small machine.
const MOST_CELLS: usize = 1 << 27;

/// Equal cells between two ends.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    lower: f64,
    /// Of one cell.
    width: f64,
    cells: usize,
}

impl Axis {
    fn new(range: &Range<f64>, cells: usize) -> Result<Self> {
        finite("the grid's range", [&range.start, &range.end], |i| ["its start", "its end"][i].into())?;
        let width = (range.end - range.start) / cells as f64;
        if !(width > 0.0 && width.is_finite()) {
            let domain = "positive and finite; give each range from its lower to its upper end, and at least 2 cells";
            return Err(Error::Domain { what: "the width of a grid's cell", value: width, domain });
        }
        if cells < 2 {
            let domain = "at least 2, so that a coarser grid can tell the error";
            return Err(Error::Domain {
                what: "the number of a grid's cells along an axis",
                value: cells as f64,
                domain,
            });
        }
        Ok(Self { lower: range.start, width, cells })
    }

    /// The same range with half as many cells.
    fn coarser(&self) -> Self {
        let cells = self.cells.div_ceil(2);
        Self { lower: self.lower, width: self.width * (self.cells as f64 / cells as f64), cells }
    }

    fn midpoint(&self, i: usize) -> f64 {
        self.lower + (i as f64 + 0.5) * self.width
    }
}

/// The posterior p(θ | D) = p(D, θ) / p(D) from ln p(D, θ) at the midpoints of a grid's cells, each cell with the mass density × volume.
///
/// For a smooth density that falls to nothing within the grid the error falls faster than any power of the cells' width; at a jump or an
/// end where the density does not vanish, as its square or slower. [`ln_evidence`](Self::ln_evidence) tells what half as many cells
/// change, and [`edge_mass`](Self::edge_mass) how much lies in the outermost cells: if the density does not end there, about as much
/// may lie outside, which no grid sees. The number of cells is a power of the dimension.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let (prior, data) = (BetaBernoulli::new(2.0, 2.0)?, Counts::of_trials(7, 10)?);
/// let grid = GridPosterior::new(&[(0.0..1.0, 200)], |theta| prior.ln_joint(theta, &data))?;
/// let evidence = grid.ln_evidence();
/// assert!((evidence.value - prior.ln_evidence(&data)?).abs() <= evidence.error && evidence.error < 1e-9);
/// assert!((grid.mean()[0] - 9.0 / 14.0).abs() < 1e-8 && grid.edge_mass() < 1e-8);
/// let figure = Figure::new("posterior").line(&grid.frame(&["θ"])?, "θ", "density");
/// # assert!(figure.png().is_ok());
/// # Ok::<(), Error>(())
/// ```
///
/// Source: Davis and Rabinowitz (1984), *Methods of Numerical Integration*, 2nd ed., §§2.1 and 2.9.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPosterior {
    axes: Vec<Axis>,
    /// Of each cell, the first axis running slowest.
    masses: Vec<f64>,
    ln_evidence: Quadrature,
}

impl GridPosterior {
    /// The posterior on a grid with a range and a number of cells for each entry of θ, evaluated in parallel.
    ///
    /// # Errors
    /// [`Error::Shape`] for no axis, [`Error::NotFinite`] and [`Error::Domain`] for a range that is empty or infinite, fewer than 2 cells
    /// along an axis, more than 2²⁷ in all, or a joint density that is zero on all of the grid; [`Error::LnDensity`] with the θ at which
    /// `ln_joint` is NaN or ∞; those of `ln_joint`.
    pub fn new<T: Integrand>(
        axes: &[(Range<f64>, usize)],
        ln_joint: impl Fn(&DVector<f64>) -> T + Sync,
    ) -> Result<Self> {
        if axes.is_empty() {
            return Err(Error::Shape {
                what: "the grid's axes",
                expected: "at least one".into(),
                found: "none".into(),
            });
        }
        let ln_joint = |theta: &DVector<f64>| ln_density("the log joint density", ln_joint(theta), theta);
        let axes: Vec<Axis> = axes.iter().map(|(range, cells)| Axis::new(range, *cells)).collect::<Result<_>>()?;
        let fine = evaluate(&axes, &ln_joint)?;
        let coarser: Vec<Axis> = axes.iter().map(Axis::coarser).collect();
        let (total, rough) = (ln_sum_exp(&fine), ln_integral(&coarser, &evaluate(&coarser, &ln_joint)?));
        if total == f64::NEG_INFINITY {
            let domain =
                "finite: prior and likelihood have no mass in common here; move or widen the grid, or refine it";
            return Err(Error::Domain { what: "the largest log joint density on the grid", value: total, domain });
        }
        let value = ln_integral(&axes, &fine);
        let ln_evidence = Quadrature { value, error: (value - rough).abs() };
        Ok(Self { axes, masses: fine.into_iter().map(|ln| (ln - total).exp()).collect(), ln_evidence })
    }

    /// The dimension of θ.
    pub fn dim(&self) -> usize {
        self.axes.len()
    }

    /// ln p(D), and as its error the change from half as many cells along each axis. That does not see what lies outside the grid:
    /// for this look at [`edge_mass`](Self::edge_mass).
    pub fn ln_evidence(&self) -> Quadrature {
        self.ln_evidence
    }

    /// The posterior mass in the outermost cells.
    pub fn edge_mass(&self) -> f64 {
        let outermost =
            |cell: usize| self.axes.iter().zip(indices(&self.axes, cell)).any(|(a, i)| i == 0 || i + 1 == a.cells);
        (0..self.masses.len()).filter(|&cell| outermost(cell)).map(|cell| self.masses[cell]).sum()
    }

    /// The midpoint of the cell where the density is largest: the maximum a posteriori estimate up to half a cell.
    pub fn mode(&self) -> DVector<f64> {
        let largest = (0..self.masses.len()).max_by(|&i, &j| self.masses[i].total_cmp(&self.masses[j]));
        midpoint(&self.axes, largest.unwrap_or(0))
    }

    /// E f(θ) over the cells that have any mass.
    pub fn expectation(&self, f: impl Fn(&DVector<f64>) -> f64) -> f64 {
        let cells = self.masses.iter().enumerate().filter(|(_, mass)| **mass > 0.0);
        cells.map(|(cell, mass)| mass * f(&midpoint(&self.axes, cell))).sum()
    }

    /// The posterior mean.
    pub fn mean(&self) -> DVector<f64> {
        DVector::from_fn(self.dim(), |i, _| self.expectation(|theta| theta[i]))
    }

    /// The posterior covariance.
    pub fn covariance(&self) -> DMatrix<f64> {
        let mean = self.mean();
        DMatrix::from_fn(self.dim(), self.dim(), |i, j| {
            self.expectation(|theta| (theta[i] - mean[i]) * (theta[j] - mean[j]))
        })
    }

    /// The posterior of entry i of θ, on that entry's axis: the masses summed over all others.
    ///
    /// # Errors
    /// [`Error::Shape`] unless i is below the dimension.
    pub fn marginal(&self, i: usize) -> Result<Self> {
        if i >= self.dim() {
            let expected = format!("below {}", self.dim());
            return Err(Error::Shape { what: "the index of a marginal", expected, found: i.to_string() });
        }
        let mut masses = vec![0.0; self.axes[i].cells];
        for (cell, mass) in self.masses.iter().enumerate() {
            masses[indices(&self.axes, cell)[i]] += mass;
        }
        Ok(Self { axes: vec![self.axes[i].clone()], masses, ln_evidence: self.ln_evidence })
    }

    /// One row for each cell: the entries of its midpoint under their `names`, and the posterior "density".
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are as many names as axes; polars' error for a repeated name.
    pub fn frame(&self, names: &[impl Display]) -> Result<DataFrame> {
        same_length("the names of the axes", self.dim(), names.len())?;
        let points: Vec<DVector<f64>> = (0..self.masses.len()).map(|cell| midpoint(&self.axes, cell)).collect();
        let column = |i: usize| points.iter().map(|theta| theta[i]).collect::<Vec<f64>>();
        let mut columns: Vec<Column> =
            names.iter().enumerate().map(|(i, name)| Column::new(name.to_string().into(), column(i))).collect();
        let volume: f64 = self.axes.iter().map(|axis| axis.width).product();
        columns.push(Column::new("density".into(), self.masses.iter().map(|mass| mass / volume).collect::<Vec<_>>()));
        Ok(DataFrame::new(points.len(), columns)?)
    }
}

/// The cell's place along each axis.
fn indices(axes: &[Axis], mut cell: usize) -> Vec<usize> {
    let mut indices = vec![0; axes.len()];
    for (index, axis) in indices.iter_mut().zip(axes).rev() {
        (*index, cell) = (cell % axis.cells, cell / axis.cells);
    }
    indices
}

fn midpoint(axes: &[Axis], cell: usize) -> DVector<f64> {
    DVector::from_iterator(axes.len(), axes.iter().zip(indices(axes, cell)).map(|(axis, i)| axis.midpoint(i)))
}

/// ln Σ exp(values) · volume of a cell
fn ln_integral(axes: &[Axis], values: &[f64]) -> f64 {
    ln_sum_exp(values) + axes.iter().map(|axis| axis.width.ln()).sum::<f64>()
}

// By reference: the threads' machinery is compiled here, once, and not with each joint density.
fn evaluate(axes: &[Axis], ln_joint: &(dyn Fn(&DVector<f64>) -> Result<f64> + Sync)) -> Result<Vec<f64>> {
    let cells = axes.iter().try_fold(1, |product: usize, axis| product.checked_mul(axis.cells));
    let Some(cells) = cells.filter(|&cells| cells <= MOST_CELLS) else {
        let value = axes.iter().map(|axis| axis.cells as f64).product();
        let domain = "at most 2²⁷; take fewer, or in more than a few dimensions importance sampling";
        return Err(Error::Domain { what: "the number of the grid's cells", value, domain });
    };
    let value = |cell| ln_joint(&midpoint(axes, cell));
    let values: Result<Vec<f64>> = (0..cells).into_par_iter().map(value).collect();
    // Of several errors a parallel run gives any; this is the first.
    values.or_else(|_| (0..cells).map(value).collect())
}
