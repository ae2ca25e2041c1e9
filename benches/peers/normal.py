"""The works of benches/normal.rs in NumPy, SciPy and scikit-learn."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.stats import multivariate_normal
from sklearn.covariance import EmpiricalCovariance

SHAPES = [(1_000_000, 8), (200_000, 64), (20_000, 256)]


def data(n, d):
    return np.modf(np.arange(1, n + 1)[:, None] * np.sqrt(np.arange(d) ** 2 + 2))[0]


def normal(d, shift, rho):
    j = np.arange(d)
    return j / d + shift, rho ** np.abs(j[:, None] - j)


def fit(n, d):
    x = data(n, d)

    def numpy():
        return np.linalg.slogdet((x.mean(axis=0), np.cov(x, rowvar=False, bias=True))[1])[1]

    def sklearn():
        return np.linalg.slogdet(EmpiricalCovariance(store_precision=False).fit(x).covariance_)[1]

    return {"NumPy": numpy, "scikit-learn": sklearn}


def sample(n, d):
    (mean, covariance), rng = normal(d, 0.0, 0.5), np.random.default_rng(0)

    def numpy():
        return rng.multivariate_normal(mean, covariance, n)[0, 0] * np.nan

    def by_cholesky():
        return rng.multivariate_normal(mean, covariance, n, method="cholesky")[0, 0] * np.nan

    return {"NumPy": numpy, "by Cholesky": by_cholesky}


def ln_pdf(n, d):
    p, x = multivariate_normal(*normal(d, 0.0, 0.5)), data(n, d)
    return {"SciPy": lambda: p.logpdf(x)[-1]}


def monte_carlo_kl(n, d):
    """In pieces that fit into the cache a little better than all at once."""
    (mean, covariance), rng = normal(d, 0.0, 0.5), np.random.default_rng(0)
    q, p = multivariate_normal(mean, covariance), multivariate_normal(*normal(d, 0.1, 0.3))

    def numpy():
        x = rng.multivariate_normal(mean, covariance, n, method="cholesky")
        ratio = q.logpdf(x) - p.logpdf(x)
        assert ratio.std(ddof=1) / np.sqrt(n) > 0
        return ratio.mean()

    return {"NumPy and SciPy": numpy}


def kl(d):
    (a, s), (b, t) = normal(d, 0.0, 0.5), normal(d, 0.1, 0.3)

    def numpy():
        solved = np.linalg.solve(t, np.column_stack([s, b - a]))
        ln_det = np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
        return 0.5 * (np.trace(solved[:, :d]) - d + ln_det + (b - a) @ solved[:, d])

    def scipy():
        factor, root = cho_factor(t, lower=True), np.linalg.cholesky(s)
        whitened = solve_triangular(factor[0], root, lower=True)
        ln_det = 2 * (np.log(np.diag(factor[0])) - np.log(np.diag(root))).sum()
        return 0.5 * ((whitened**2).sum() - d + ln_det + (b - a) @ cho_solve(factor, b - a))

    return {"NumPy": numpy, "SciPy": scipy}


WORKS = {f"{work.__name__} {n}×{d}": (lambda work=work, n=n, d=d: work(n, d)) for n, d in SHAPES for work in [fit, sample, ln_pdf]}
WORKS |= {f"Monte Carlo KL {n}×{d}": (lambda n=n, d=d: monte_carlo_kl(n, d)) for n, d in [(10_000_000, 2), (1_000_000, 20)]}
WORKS |= {f"KL d={d}": (lambda d=d: kl(d)) for d in [1, 2, 20, 200]}
