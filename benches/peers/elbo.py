"""The works of benches/elbo.rs in NumPyro and JAX: the same models, data, priors, starts, draws and optimiser, in double precision.

All is compiled before it is timed. The steps of "scan" run in one compiled loop (`lax.scan`), those of "calls" in a loop of Python
that calls a compiled step, as users of NumPyro's `svi.update` do. The number that a call hands back is the ELBO that a longer ascent
has found beforehand.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.example_libraries.optimizers import adam
from numpyro.infer import SVI, Trace_ELBO, autoguide, init_to_value
from numpyro.optim import Adam

jax.config.update("jax_enable_x64", True)

# 0.05 of the logistic regression's 640 nats: what the draws and the last steps' trembling leave.
TOLERANCE = 8e-5
STEPS = 100
DIGITS = np.genfromtxt(pathlib.Path(__file__).parents[2] / "data/digits.csv", delimiter=",", skip_header=1)


def calls(peer, step, start, steps, elbo):
    """The two loops, each with the ELBO that so many steps find."""

    def scanned(state, length):
        return jax.lax.scan(lambda state, _: (step(state)[0], None), state, None, length=length)[0]

    found = elbo(jax.jit(lambda state: scanned(state, steps))(start))
    scan, one = jax.jit(lambda state: scanned(state, STEPS)), jax.jit(step)

    def by_scan():
        jax.block_until_ready(scan(start))
        return found

    def by_calls():
        state = start
        for _ in range(STEPS):
            state, _ = one(state)
        jax.block_until_ready(state)
        return found

    return {f"{peer}, scan": by_scan, f"{peer}, calls": by_calls}


def regression(guide):
    """Logistic regression of the first thousand digits."""
    pixels = [10, 13, 18, 21, 26, 29, 34, 37, 42]
    x = jnp.array(np.c_[np.ones(1000), DIGITS[:1000, pixels] / 16])
    y = jnp.array((DIGITS[:1000, 64] >= 5).astype(float))

    def model():
        z = numpyro.sample("z", dist.Normal(0, 1).expand([10]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ z), obs=y)

    guide = guide(model, init_loc_fn=init_to_value(values={"z": jnp.zeros(10)}), init_scale=1.0)
    svi = SVI(model, guide, Adam(lambda t: 0.05 / (1 + t / 200)), Trace_ELBO(num_particles=10))

    def elbo(state):
        """The mean of 200 000 draws, a standard error of 0.01."""
        many, parameters = Trace_ELBO(num_particles=1000).loss, svi.get_params(state)
        of = jax.jit(lambda key: -many(key, parameters, model, guide))
        return np.mean([of(key) for key in jax.random.split(jax.random.PRNGKey(1), 200)])

    return calls("NumPyro", svi.update, svi.init(jax.random.PRNGKey(0)), 100_000, elbo)


def ppca(k, sampled):
    """Probabilistic PCA of all digits with k factors, W, σ and an amortised q together; the ELBO in closed form or of one draw."""
    x = jnp.array(DIGITS[:, :64] - DIGITS[:, :64].mean(0))
    (n, d), triangle = x.shape, jnp.tril_indices(k)

    def factor(parameters):
        l = jnp.zeros((k, k)).at[triangle].set(parameters)
        return l.at[jnp.diag_indices(k)].set(jnp.exp(jnp.diag(l)))

    def joint(z, w, ln_sigma):
        squares = jnp.sum((x - z @ w.T) ** 2) * jnp.exp(-2 * ln_sigma) + jnp.sum(z**2)
        return -0.5 * (squares + n * (d + k) * jnp.log(2 * jnp.pi)) - n * d * ln_sigma

    def closed(parameters, _):
        a, c, l, w, ln_sigma = parameters
        l = factor(l)
        precision = w.T @ w * jnp.exp(-2 * ln_sigma) + jnp.eye(k)
        entropy = 0.5 * k * (1 + jnp.log(2 * jnp.pi)) + jnp.sum(jnp.log(jnp.diag(l)))
        return joint(x @ a.T + c, w, ln_sigma) + n * (entropy - 0.5 * jnp.sum((precision @ l) * l))

    def by_draw(parameters, key):
        a, c, l, w, ln_sigma = parameters
        l, noise = factor(l), jax.random.normal(key, (n, k))
        ln_q = -0.5 * (jnp.sum(noise**2) + n * k * jnp.log(2 * jnp.pi)) - n * jnp.sum(jnp.log(jnp.diag(l)))
        return joint(x @ a.T + c + noise @ l.T, w, ln_sigma) - ln_q

    initial, update, at = adam(lambda t: 0.1 / (1 + t / 200))
    descent = jax.value_and_grad(lambda parameters, key: -(by_draw if sampled else closed)(parameters, key))

    def step(state):
        t, key, state = state
        key, own = jax.random.split(key) if sampled else (key, key)
        value, gradient = descent(at(state), own)
        return (t + 1, key, update(t, gradient, state)), value

    w = jnp.sin(1.0 + jnp.arange(d * k).reshape(d, k))
    start = (jnp.zeros((k, d)), jnp.zeros(k), jnp.zeros(k * (k + 1) // 2), w, jnp.log(3.0))
    return calls("JAX", step, (0, jax.random.PRNGKey(0), initial(start)), 10_000, lambda end: closed(at(end[2]), None))


WORKS = {
    "ELBO, logistic, mean field, 100 steps": lambda: regression(autoguide.AutoNormal),
    "ELBO, logistic, full rank, 100 steps": lambda: regression(autoguide.AutoMultivariateNormal),
    "ELBO, PPCA, k = 2, closed form, 100 steps": lambda: ppca(2, False),
    "ELBO, PPCA, k = 10, closed form, 100 steps": lambda: ppca(10, False),
    "ELBO, PPCA, k = 10, by draws, 100 steps": lambda: ppca(10, True),
}
