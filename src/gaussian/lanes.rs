//! A lower triangular L applied to many samples and solved for them, and sums of products, a few registers' worth of numbers at a time.
//!
//! Each sample's own operations are those of a single vector, in that order; sums over samples are made in a fixed number of parts. No
//! operation is a fused one, which only some processors have. So a value depends neither on the samples beside it nor on the machine.
//! Which instructions run is decided at run time.

use nalgebra::DMatrix;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// How many samples go together.
pub(crate) const LANES: usize = 16;

/// One coordinate of [`LANES`] samples.
pub(crate) type Lanes = [f64; LANES];

/// How many samples are read or written at once: a column's lie side by side in memory.
pub(crate) const ROWS: usize = 4 * LANES;

/// How many coordinates go together: their sums fill half of the registers.
const TILE: usize = 2;

/// How many coordinates of a sample lie side by side where all are multiplied with all, and with how many at once: these sums, too, fill
/// half of the registers.
pub(crate) const PANEL: usize = 8;
const MULTIPLIED: usize = 4;

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
        dispatch(
            (self, z),
            #[inline(always)]
            |(factor, z): (&Self, &mut [Lanes])| {
                // Zeros that come first stay.
                let from = z.iter().position(|z| *z != [0.0; LANES]).unwrap_or(z.len()) / TILE * TILE;
                for i in (from..factor.dim()).step_by(TILE) {
                    let rows = factor.tile(i);
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

    /// As many blocks, of [`dim`](Self::dim) coordinates each, as samples of that number take.
    pub(crate) fn blocks(&self, samples: usize) -> Vec<Lanes> {
        vec![[0.0; LANES]; samples.div_ceil(LANES) * self.dim()]
    }

    /// L⁻¹ (x − mean) for rows x of a matrix, into blocks.
    pub(crate) fn whiten(&self, data: &DMatrix<f64>, rows: Range<usize>, mean: &[f64], z: &mut [Lanes]) {
        for (i, (column, mean)) in data.column_iter().zip(mean).enumerate() {
            for (block, x) in z.chunks_mut(self.dim()).zip(column.as_slice()[rows.clone()].chunks(LANES)) {
                block[i].iter_mut().zip(x).for_each(|(z, x)| *z = x - mean);
            }
        }
        z.chunks_mut(self.dim()).for_each(|block| self.solve(block));
    }

    /// L⁻¹ x for each row x.
    pub(crate) fn solve_rows(&self, data: &DMatrix<f64>) -> DMatrix<f64> {
        let (mut solved, mut z) = (data.clone(), self.blocks(data.nrows()));
        self.whiten(data, 0..data.nrows(), &vec![0.0; data.ncols()], &mut z);
        for (i, column) in solved.as_mut_slice().chunks_mut(data.nrows().max(1)).enumerate() {
            self.coordinate(i, &z, column, |z| z);
        }
        solved
    }

    /// f(zᵢ) for each sample of the blocks.
    pub(crate) fn coordinate(&self, i: usize, z: &[Lanes], column: &mut [f64], f: impl Fn(f64) -> f64) {
        for (block, x) in z.chunks(self.dim()).zip(column.chunks_mut(LANES)) {
            x.iter_mut().zip(block[i]).for_each(|(x, z)| *x = f(z));
        }
    }

    /// z ← L z: zᵢ ← Σⱼ Lᵢⱼ zⱼ, i descending.
    pub(crate) fn multiply(&self, z: &mut [Lanes]) {
        dispatch(
            (self, z),
            #[inline(always)]
            |(factor, z): (&Self, &mut [Lanes])| {
                for i in (0..factor.dim()).step_by(TILE).rev() {
                    let rows = factor.tile(i);
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
fn add_multiple<const N: usize>(y: &mut [f64; N], a: f64, x: &[f64; N]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// G ← G + Σₙ xₙ xₙᵀ on and above the diagonal, for so many samples xₙ of d coordinates: the first panel of each sample, then the
/// next of each. G has as many rows and columns as there are coordinates with those that fill up the last panel.
pub(crate) fn add_products(coordinates: &[[f64; PANEL]], samples: usize, d: usize, gram: &mut DMatrix<f64>) {
    let size = gram.nrows();
    dispatch(
        (coordinates, gram.as_mut_slice()),
        #[inline(always)]
        |(coordinates, columns): (&[[f64; PANEL]], &mut [f64])| {
            for (i, left) in coordinates.chunks(samples).enumerate() {
                for (j, right) in coordinates.chunks(samples).enumerate().take(i + 1) {
                    for tile in 0..PANEL.min(d - i * PANEL).div_ceil(MULTIPLIED) {
                        let mut sums = [[0.0; PANEL]; MULTIPLIED];
                        for (x, y) in left.iter().zip(right) {
                            let x = x.as_chunks::<MULTIPLIED>().0[tile];
                            for t in 0..MULTIPLIED {
                                add_multiple(&mut sums[t], x[t], y);
                            }
                        }
                        for (t, sum) in sums.iter().enumerate() {
                            let column =
                                &mut columns[(i * PANEL + tile * MULTIPLIED + t) * size..][j * PANEL..][..PANEL];
                            column.iter_mut().zip(sum).for_each(|(entry, sum)| *entry += sum);
                        }
                    }
                }
            }
        },
    );
}

/// Σᵢ zᵢ², i ascending.
pub(crate) fn squared_norms(z: &[Lanes]) -> Lanes {
    dispatch(
        z,
        #[inline(always)]
        |z: &[Lanes]| {
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
    sum_around(values, 0.0)
}

/// Σᵢ (xᵢ − center), in the same way.
pub(crate) fn sum_around(values: &[f64], center: f64) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let sums = dispatch(
        blocks,
        #[inline(always)]
        |blocks: &[Lanes]| {
            let mut sums = [0.0; LANES];
            for block in blocks {
                sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x - center);
            }
            sums
        },
    );
    sums.iter().sum::<f64>() + rest.iter().map(|x| x - center).sum::<f64>()
}

/// f(x), compiled for the widest registers that there are. (pulp takes closures, too, as `FnOnce`; but what calls such a closure if it
/// is `Fn` or `FnMut` is not inlined, and so not compiled for them. What a loop uses should come with x: a closure's own variables are
/// read anew after each write.)
fn dispatch<A, T>(x: A, f: impl FnMut(A) -> T) -> T {
    struct Call<A, F>(A, F);
    impl<A, T, F: FnMut(A) -> T> WithSimd for Call<A, F> {
        type Output = T;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> T {
            (self.1)(self.0)
        }
    }
    Arch::new().dispatch(Call(x, f))
}
