//! Products of a matrix of many rows with narrow ones, at which blocked products of general matrices are slow: they copy as much
//! as they multiply.
//!
//! A value depends neither on the number of threads, as pieces of rows have sums of their own, nor on the machine: `mul_add` rounds
//! once everywhere. It is one instruction on any processor of the last ten years, and slow on those before. Which instructions run
//! is decided at run time.

use crate::gaussian::{LANES, Lanes};
use nalgebra::{Const, DMatrix, DVector, Dyn};
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;

/// How many rows are multiplied before their sums leave the cache; a multiple of those in a [`BATCH`].
const PIECE: usize = 256;

/// How many blocks of [`LANES`] rows are added to sums that stay in the registers.
const BATCH: usize = 4;

/// How many sums there are of one entry of a product over rows: one register's worth.
const PARTIAL: usize = 4;

/// How many multiplications are worth a thread of their own: some 20 µs, twice of what it takes to wake one.
const WORTH: usize = 500_000;

/// A matrix, row after row in blocks of [`LANES`]: of each block the first entries of all rows, then the second ones. In the last
/// block zeros stand for the rows that are missing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    count: usize,
    dim: usize,
    lanes: Vec<Lanes>,
}

impl Rows {
    /// The rows of an N×d matrix.
    pub(super) fn new(matrix: &DMatrix<f64>) -> Self {
        let (count, dim) = matrix.shape();
        Self { count, dim, lanes: lay(0..count, dim, |n, j| matrix[(n, j)]) }
    }

    /// The number of rows.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The number of columns.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// What `of` makes of each piece of rows, in their order. In parallel, if a row takes so many multiplications that it pays.
    pub(super) fn pieces<T: Send>(
        &self,
        multiplications: usize,
        of: impl Fn(Range<usize>, &[Lanes]) -> T + Sync,
    ) -> Vec<T> {
        let least = WORTH / (PIECE * multiplications.max(1));
        let of_piece = |(piece, x)| of(piece * PIECE..self.count.min((piece + 1) * PIECE), x);
        let pieces = self.lanes.par_chunks((PIECE / LANES * self.dim).max(1)).enumerate();
        pieces.with_min_len(least.max(1)).map(of_piece).collect()
    }
}

/// The entries (n, j) of some rows, as [`Rows`] has them.
pub(super) fn lay(rows: Range<usize>, dim: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<Lanes> {
    let mut lanes = vec![[0.0; LANES]; rows.len().div_ceil(LANES) * dim];
    for (block, start) in lanes.chunks_exact_mut(dim.max(1)).zip(rows.clone().step_by(LANES)) {
        for (lane, n) in (start..rows.end.min(start + LANES)).enumerate() {
            block.iter_mut().enumerate().for_each(|(j, lanes)| lanes[lane] = entry(n, j));
        }
    }
    lanes
}

/// The rows of all pieces below each other as one vector, `dim` entries of each.
pub(super) fn stacked_rows<'a>(
    count: usize,
    dim: usize,
    pieces: impl IntoIterator<Item = &'a Vec<Lanes>>,
) -> DVector<f64> {
    let mut rows = DMatrix::zeros(dim, count);
    let blocks = pieces.into_iter().flat_map(|piece| piece.chunks_exact(dim.max(1)));
    for (rows, block) in rows.as_mut_slice().chunks_mut((LANES * dim).max(1)).zip(blocks) {
        for (lane, row) in rows.chunks_exact_mut(dim).enumerate() {
            row.iter_mut().zip(block).for_each(|(entry, lanes)| *entry = lanes[lane]);
        }
    }
    rows.reshape_generic(Dyn(dim * count), Const::<1>)
}

/// y ← a x + y
#[inline(always)]
fn add_multiple<const N: usize>(y: &mut [f64; N], a: f64, x: &[f64; N]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = a.mul_add(*x, *y);
    }
}

/// Y ← XB + Y for rows X and Y, two columns of B at a time.
pub(super) fn add_product(y: &mut [Lanes], x: &[Lanes], b: &DMatrix<f64>) {
    let (d, k) = b.shape();
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let y = y;
            for (y, x) in y.chunks_exact_mut(k.max(1)).zip(x.chunks_exact(d.max(1))) {
                let (mut pairs, columns) = (y.chunks_exact_mut(2), b.as_slice().chunks_exact(2 * d));
                let last = columns.remainder();
                for (y, columns) in pairs.by_ref().zip(columns) {
                    let ((first, second), mut sums) = (columns.split_at(d), [y[0], y[1]]);
                    for ((x, b0), b1) in x.iter().zip(first).zip(second) {
                        add_multiple(&mut sums[0], *b0, x);
                        add_multiple(&mut sums[1], *b1, x);
                    }
                    y.copy_from_slice(&sums);
                }
                for y in pairs.into_remainder() {
                    let mut sum = *y;
                    for (x, b) in x.iter().zip(last) {
                        add_multiple(&mut sum, *b, x);
                    }
                    *y = sum;
                }
            }
        },
    );
}

/// XB for rows X.
pub(super) fn product(x: &[Lanes], b: &DMatrix<f64>) -> Vec<Lanes> {
    let mut y = vec![[0.0; LANES]; x.len() / b.nrows().max(1) * b.ncols()];
    add_product(&mut y, x, b);
    y
}

/// XᵀY for rows X and Y with d and k entries.
pub(super) fn product_over_rows(x: &[Lanes], d: usize, y: &[Lanes], k: usize) -> DMatrix<f64> {
    let mut sums = vec![[0.0; PARTIAL]; d * k];
    let partial = &mut sums;
    Arch::new().dispatch(
        #[inline(always)]
        move || {
            let partial = partial;
            for (x, y) in x.chunks((BATCH * d).max(1)).zip(y.chunks((BATCH * k).max(1))) {
                for i in (0..d / 2 * 2).step_by(2) {
                    add_tiles::<2>(partial, (x, d, i), (y, k));
                }
                if d % 2 == 1 {
                    add_tiles::<1>(partial, (x, d, d - 1), (y, k));
                }
            }
        },
    );
    DMatrix::from_fn(d, k, |i, j| sums[i * k + j].iter().sum())
}

/// The I rows of XᵀY from i on.
#[inline(always)]
fn add_tiles<const I: usize>(sums: &mut [[f64; PARTIAL]], x: (&[Lanes], usize, usize), y: (&[Lanes], usize)) {
    let mut j = 0;
    while j + 5 <= y.1 {
        add_tile::<I, 5>(sums, x, (y.0, y.1, j));
        j += 5;
    }
    while j + 2 <= y.1 {
        add_tile::<I, 2>(sums, x, (y.0, y.1, j));
        j += 2;
    }
    if j < y.1 {
        add_tile::<I, 1>(sums, x, (y.0, y.1, j));
    }
}

/// The I×J entries of XᵀY from (i, j) on, in registers.
#[inline(always)]
fn add_tile<const I: usize, const J: usize>(
    sums: &mut [[f64; PARTIAL]],
    (x, d, i): (&[Lanes], usize, usize),
    (y, k, j): (&[Lanes], usize, usize),
) {
    let mut tile = [[[0.0; PARTIAL]; J]; I];
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact(k)) {
        let (x, y) = (&x[i..][..I], &y[j..][..J]);
        for part in (0..LANES).step_by(PARTIAL) {
            for a in 0..I {
                for b in 0..J {
                    for lane in 0..PARTIAL {
                        let sum = &mut tile[a][b][lane];
                        *sum = x[a][part + lane].mul_add(y[b][part + lane], *sum);
                    }
                }
            }
        }
    }
    for (a, tile) in tile.iter().enumerate() {
        for (b, tile) in tile.iter().enumerate() {
            add_multiple(&mut sums[(i + a) * k + j + b], 1.0, tile);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |i, j| (1.3 * i as f64 + 0.7 * (j * j) as f64).sin())
    }

    #[test]
    fn products_are_those_of_matrices() {
        for (n, d, k) in [(1, 1, 1), (5, 3, 2), (16, 2, 5), (255, 7, 8), (1000, 10, 10), (1797, 64, 3)] {
            let (x, b) = (matrix(n, d), matrix(d, k));
            let y = &x * &b;
            // Each entry a sum of terms below 1, and of those again.
            let (one, two) = (d as f64 * f64::EPSILON, (n * d) as f64 * f64::EPSILON);
            let rows = Rows::new(&x);
            let pieces = rows.pieces(1, |_, x| product(x, &b));
            let found = stacked_rows(n, k, &pieces);
            assert!((found - y.transpose().reshape_generic(Dyn(n * k), Const::<1>)).amax() <= one, "{n} {d} {k}");
            let sums = rows.pieces(1, |rows, x| product_over_rows(x, d, &lay(rows, k, |n, j| y[(n, j)]), k));
            let sum = sums.iter().sum::<DMatrix<f64>>();
            assert!((sum - x.tr_mul(&y)).amax() <= two * d as f64, "{n} {d} {k}");
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let (x, b) = (matrix(5000, 6), matrix(6, 7));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let of_piece = |rows: Range<usize>, x: &[Lanes]| (rows, product_over_rows(x, 6, &product(x, &b), 7));
            pool.install(|| Rows::new(&x).pieces(WORTH, of_piece))
        };
        let one = run(1);
        assert!(one == run(2) && one == run(7) && one.len() == 20 && one[19].0 == (4864..5000));
    }
}
