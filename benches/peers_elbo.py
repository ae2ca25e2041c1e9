"""Steps of an ascent on the ELBO, beside NumPyro and JAX: the same model, data, prior, start, draws and optimiser, in double precision.

usage: python benches/peers_elbo.py [REPEATS]        (default: 5)

Needs jax and numpyro. Both sides are compiled before they are timed; the peers' steps run in one compiled loop (`lax.scan`), and
in a loop of Python that calls a compiled step. Ours is the program of `cargo bench --bench elbo`. The two take turns, so that a
busy machine hits both; the smallest time of each counts. The ELBO is that of what each has found.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.example_libraries.optimizers import adam
from numpyro.infer import SVI, Trace_ELBO, autoguide, init_to_value

jax.config.update("jax_enable_x64", True)

FOLDER = pathlib.Path(__file__).parent.parent
STEPS = 3000
DIGITS = np.genfromtxt(FOLDER / "data/digits.csv", delimiter=",", skip_header=1)


def timed(loop, state):
    """The seconds that a compiled loop of STEPS steps takes, and where it ends."""
    begun = time.perf_counter()
    end = jax.block_until_ready(loop(state))
    return (time.perf_counter() - begun) / STEPS, end


def scanned(step):
    return jax.jit(lambda state: jax.lax.scan(lambda state, _: step(state), state, None, length=STEPS)[0])


def called(step):
    step = jax.jit(step)

    def loop(state):
        for _ in range(STEPS):
            state, _ = step(state)
        return state

    return loop


def regression(guide):
    """Logistic regression of the first thousand digits: the step, the start, and the ELBO of a state with its standard error."""
    pixels = [10, 13, 18, 21, 26, 29, 34, 37, 42]
    x = jnp.array(np.c_[np.ones(1000), DIGITS[:1000, pixels] / 16])
    y = jnp.array((DIGITS[:1000, 64] >= 5).astype(float))

    def model():
        z = numpyro.sample("z", dist.Normal(0, 1).expand([10]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ z), obs=y)

    guide = guide(model, init_loc_fn=init_to_value(values={"z": jnp.zeros(10)}), init_scale=1.0)
    svi = SVI(model, guide, numpyro.optim.Adam(lambda t: 0.05 / (1 + t / 200)), Trace_ELBO(num_particles=10))

    def elbo(state):
        one = Trace_ELBO(num_particles=1000).loss
        of = jax.jit(lambda key: -one(key, svi.get_params(state), model, guide))
        values = np.array([of(key) for key in jax.random.split(jax.random.PRNGKey(1), 100)])
        return values.mean(), values.std(ddof=1) / 10

    return svi.update, svi.init(jax.random.PRNGKey(0)), elbo


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
    ascended = jax.value_and_grad(lambda parameters, key: -(by_draw if sampled else closed)(parameters, key))

    def step(state):
        t, key, state = state
        key, own = jax.random.split(key) if sampled else (key, key)
        value, gradient = ascended(at(state), own)
        return (t + 1, key, update(t, gradient, state)), value

    w = jnp.sin(1.0 + jnp.arange(d * k).reshape(d, k))
    start = (jnp.zeros((k, d)), jnp.zeros(k), jnp.zeros(k * (k + 1) // 2), w, jnp.log(3.0))
    return step, (0, jax.random.PRNGKey(0), initial(start)), lambda state: (float(closed(at(state[2]), None)), 0.0)


WORKS = {
    "logistic, mean field": lambda: regression(autoguide.AutoNormal),
    "logistic, full rank": lambda: regression(autoguide.AutoMultivariateNormal),
    "ppca, k = 2": lambda: ppca(2, False),
    "ppca, k = 10": lambda: ppca(10, False),
    "ppca, k = 10, by draws": lambda: ppca(10, True),
}


def program():
    """Our program, built."""
    command = ["cargo", "bench", "--bench", "elbo", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = (json.loads(line) for line in lines)
    return next(a["executable"] for a in artifacts if a.get("executable") and a["target"]["name"] == "elbo")


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    # Another build of the program may be named.
    ours = os.environ.get("ELBO_BENCH") or program()
    print(f"{'work':24} {'ours':>9} {'scan':>9} {'loop':>9}  µs/step  {'scan/ours':>9} {'loop/ours':>9}   ELBO: ours, theirs")
    for name, peer in WORKS.items():
        step, state, elbo = peer()
        loops = [scanned(step), called(step)]
        for loop in loops:
            loop(state)
        seconds = [[], [], []]
        for _ in range(repeats):
            found = json.loads(subprocess.run([ours, "--seconds", name], check=True, stdout=subprocess.PIPE).stdout)
            seconds[0].append(found["seconds"])
            for loop, of_loop in zip(loops, seconds[1:]):
                took, end = timed(loop, state)
                of_loop.append(took)
        one, scan, loop = (min(of) * 1e6 for of in seconds)
        theirs, error = elbo(end)
        print(
            f"{name:24} {one:9.1f} {scan:9.1f} {loop:9.1f}           {scan / one:9.2f} {loop / one:9.2f}   "
            f"{found['elbo']:.3f} ± {found['standard error']:.3f}, {theirs:.3f} ± {error:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
