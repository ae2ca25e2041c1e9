"""What a reader waits for: this project's kernel beside evcxr_jupyter of the same version, cell by cell, as a front end sees them.

usage: python benches/kernel.py [TARGET]        (default: target)

Run it with an environment that has workbook/tests/requirements.txt. The other kernel is the same program without what this
project prepares, in a directory of its own that is kept, so that it compiles polars once, for a quarter of an hour, and its second
run is the one to compare.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec

CELLS = """
:dep generative-models = { path = ".." }
use generative_models::prelude::*;
let n: usize = 150;
let flowers = data::iris()?;
let x = data::matrix(&flowers, &["petal length", "petal width"])?;
let fit = Gaussian::fit(&x)?;
fit.mean()
let first = x.row(0).transpose();
let ll = ln_likelihood(&fit, &x)?;
fn squared(x: f64) -> f64 { x * x }
let radius = squared(fit.mahalanobis_squared(&first)?);
let noise = fit.sample_n(n, &mut rng("noise"));
let long = flowers.clone().lazy().filter(col("petal length").gt(lit(4.0))).collect()?;
Figure::new("petals").scatter(&flowers, "petal length", "petal width")
let scaled = 2.0 * fit.covariance();
""".strip().splitlines()


def measure(name, argv, environment):
    """Seconds until the kernel is ready and of each cell, and the memory of its processes in GiB."""
    manager = KernelManager(kernel_name=name)
    manager._kernel_spec = KernelSpec(argv=argv, display_name=name, language="rust")
    begun = time.time()
    manager.start_kernel(cwd=str(pathlib.Path(__file__).parent.parent / "notebooks"), env=os.environ | environment)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=600)
    ready, seconds = time.time() - begun, []
    for cell in CELLS:
        begun = time.time()
        reply = client.execute_interactive(cell, timeout=3600, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok", cell
        seconds.append(time.time() - begun)
    process = psutil.Process(manager.provisioner.pid)
    memory = sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**30
    client.stop_channels()
    manager.shutdown_kernel()
    return ready, seconds, memory


target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target").absolute()
# Elsewhere than below the folder for temporary files its cells do not find the standard library.
workbook, kept = str(target / "debug/workbook"), pathlib.Path(tempfile.gettempdir()) / "bench-evcxr_jupyter"
kept.mkdir(parents=True, exist_ok=True)
connection, none = "{connection_file}", tempfile.mkdtemp()
subprocess.run([workbook, "kernel", "install", "--prefix", none], check=True, stdout=subprocess.DEVNULL)
other = {"EVCXR_TMPDIR": str(kept), "GENERATIVE_MODELS_KERNEL": none, "JUPYTER_PATH": none}
ours = measure("ours", [workbook, "kernel", "start", connection], {})
theirs = measure("evcxr_jupyter", [workbook, "--control_file", connection], other)

print(f"{'seconds':34}{'ours':>8}{'evcxr_jupyter':>15}{'ratio':>8}")
for row, of in [
    ("start", lambda k: k[0]),
    (":dep and use", lambda k: sum(k[1][:2])),
    ("first variable", lambda k: k[1][2]),
    ("start to first variable", lambda k: k[0] + sum(k[1][:3])),
    ("later cells, median", lambda k: statistics.median(k[1][3:])),
    ("later cells, longest", lambda k: max(k[1][3:])),
    ("memory (GiB)", lambda k: k[2]),
]:
    print(f"{row:34}{of(ours):8.2f}{of(theirs):15.2f}{of(theirs) / of(ours):8.1f}")
for cell, mine, theirs_ in zip(CELLS, ours[1], theirs[1]):
    print(f"  {cell[:60]:60} {mine:8.2f} {theirs_:8.2f}")
