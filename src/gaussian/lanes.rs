//! A lower triangular L applied to many samples, and solved for them, a few registers' worth of samples at a time.
//!
//! Each sample's own operations are those of a single vector, in that order and without fused ones, which only some processors have: a
//! value depends neither on the samples beside it nor on the machine. Which instructions run is decided at run time.

use nalgebra::DMatrix;
use pulp::Arch;
use std::iter;

/// How many samples go together.
pub(crate) const LANES: usize = 16;

/// One coordinate of [`LANES`] samples.
pub(crate) type Lanes = [f64; LANES];

/// How many coordinates go together: their sums fill half of the registers.
const TILE: usize = 2;

/// The coordinates of up to [`LANES`] rows of a matrix from the row `start` on, less the mean; further lanes are zero.
pub(crate) fn gather<'a>(
    rows: &'a DMatrix<f64>,
    start: usize,
    mean: impl IntoIterator<Item = &'a f64> + 'a,
) -> impl Iterator<Item = Lanes> + 'a {
    let count = LANES.min(rows.nrows() - start);
    rows.column_iter().zip(mean).map(move |(column, mean)| {
        let mut lanes = [0.0; LANES];
        lanes.iter_mut().zip(&column.as_slice()[start..start + count]).for_each(|(lane, x)| *lane = x - mean);
        lanes
    })
}

/// A lower triangular matrix, row after row, with as many rows of the identity below that the tiles come out even.
pub(crate) struct LowerTriangle {
    rows: DMatrix<f64>,
}

impl LowerTriangle {
    pub(crate) fn new(matrix: &DMatrix<f64>) -> Self {
        let (d, even) = (matrix.nrows(), matrix.nrows().next_multiple_of(TILE));
        let mut rows = DMatrix::identity(even, even);
        rows.view_mut((0, 0), (d, d)).tr_copy_from(matrix);
        Self { rows }
    }

    /// The even number of coordinates.
    pub(crate) fn dim(&self) -> usize {
        self.rows.nrows()
    }

    /// Lᵢ₀, …, Lᵢᵢ
    #[inline(always)]
    fn row(&self, i: usize) -> &[f64] {
        &self.rows.as_slice()[i * self.dim()..][..=i]
    }

    /// The rows of the tile from i on.
    #[inline(always)]
    fn tile(&self, i: usize) -> [&[f64]; TILE] {
        std::array::from_fn(|t| self.row(i + t))
    }

    /// z ← L⁻¹ z: zᵢ ← (zᵢ − Σⱼ Lᵢⱼ zⱼ) / Lᵢᵢ, i ascending.
    pub(crate) fn solve(&self, z: &mut [Lanes]) {
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let z = z;
                // Zeros that come first stay.
                let from = z.iter().position(|z| *z != [0.0; LANES]).unwrap_or(z.len()) / TILE * TILE;
                for i in (from..self.dim()).step_by(TILE) {
                    let rows = self.tile(i);
                    let mut sums: [Lanes; TILE] = std::array::from_fn(|t| z[i + t]);
                    for (j, z) in z[..i].iter().enumerate().skip(from) {
                        for t in 0..TILE {
                            add_multiple(&mut sums[t], -rows[t][j], z);
                        }
                    }
                    for t in 0..TILE {
                        for s in 0..t {
                            add_multiple(&mut sums[t], -rows[t][i + s], &z[i + s]);
                        }
                        sums[t].iter_mut().for_each(|sum| *sum /= rows[t][i + t]);
                        z[i + t] = sums[t];
                    }
                }
            },
        );
    }

    /// L⁻¹ r for each row r.
    pub(crate) fn solve_rows(&self, rows: &DMatrix<f64>) -> DMatrix<f64> {
        let mut solved = rows.clone();
        let mut z = vec![];
        for start in (0..rows.nrows()).step_by(LANES) {
            z.clear();
            z.extend(gather(rows, start, iter::repeat(&0.0)));
            z.resize(self.dim(), [0.0; LANES]);
            self.solve(&mut z);
            for (mut column, z) in solved.column_iter_mut().zip(&z) {
                column.as_mut_slice()[start..].iter_mut().zip(z).for_each(|(x, z)| *x = *z);
            }
        }
        solved
    }

    /// z ← L z: zᵢ ← Σⱼ Lᵢⱼ zⱼ, i descending.
    pub(crate) fn multiply(&self, z: &mut [Lanes]) {
        Arch::new().dispatch(
            #[inline(always)]
            move || {
                let z = z;
                for i in (0..self.dim()).step_by(TILE).rev() {
                    let rows = self.tile(i);
                    let mut sums = [[0.0; LANES]; TILE];
                    for (j, z) in z[..i].iter().enumerate() {
                        for t in 0..TILE {
                            add_multiple(&mut sums[t], rows[t][j], z);
                        }
                    }
                    for t in 0..TILE {
                        for s in 0..=t {
                            add_multiple(&mut sums[t], rows[t][i + s], &z[i + s]);
                        }
                    }
                    z[i..][..TILE].copy_from_slice(&sums);
                }
            },
        );
    }
}

/// y ← y + a x
#[inline(always)]
fn add_multiple(y: &mut Lanes, a: f64, x: &Lanes) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Σᵢ zᵢ², i ascending.
pub(crate) fn squared_norms(z: &[Lanes]) -> Lanes {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            for z in z {
                sums.iter_mut().zip(z).for_each(|(sum, z)| *sum += z * z);
            }
            sums
        },
    )
}

/// The sum of the values, in as many sums as there are lanes.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let sums = Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            blocks.iter().for_each(|block| add_multiple(&mut sums, 1.0, block));
            sums
        },
    );
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}
