"""What a reader waits for: this project's kernel beside evcxr_jupyter of the same version, on the notebooks, as a front end sees them.

usage: python benches/kernel.py [--target TARGET] [NOTEBOOK]...        (defaults: target; every notebook)

Run it with an environment that has workbook/tests/requirements.txt. Both kernels are started anew for each notebook, and every cell runs
on both, one after the other, so that a busy machine hits them alike. The other kernel is the same program without what this project
prepares, in a directory of its own that is kept; before the first notebook it compiles what that depends on, for a quarter of an hour.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec

NOTEBOOKS = pathlib.Path(__file__).resolve().parent.parent / "notebooks"


class Kernel:
    """A kernel, the seconds until it was ready, and those of each of its cells."""

    def __init__(self, name, argv, environment):
        self.manager = KernelManager(kernel_name=name)
        self.manager._kernel_spec = KernelSpec(argv=argv, display_name=name, language="rust")
        begun = time.time()
        self.manager.start_kernel(cwd=str(NOTEBOOKS), env=os.environ | environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=600)
        self.start, self.seconds = time.time() - begun, []

    def execute(self, code):
        begun = time.time()
        reply = self.client.execute_interactive(code, timeout=3600, output_hook=lambda _: None)
        self.seconds.append(time.time() - begun)
        return reply["content"]["status"] == "ok"

    def memory(self):
        """Of its processes, in GiB."""
        process = psutil.Process(self.manager.provisioner.pid)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**30

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def cells(path):
    """The source of each code cell, and whether it is meant to fail."""
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return [("".join(c["source"]), "raises-exception" in c["metadata"].get("tags", [])) for c in code]


def compare(path, ours, theirs):
    """Runs a notebook on both kernels, and prints a line."""
    kernels = Kernel("ours", *ours), Kernel("evcxr_jupyter", *theirs)
    code, failed = cells(path), 0
    for source, must_fail in code:
        succeeded = [kernel.execute(source) for kernel in kernels]
        failed += not (must_fail or all(succeeded))
    first = next(i for i, (source, _) in enumerate(code) if "let " in source)
    row = f"{path.stem[:34]:34}{len(code):6}"
    for measure in [
        lambda k: k.start + sum(k.seconds[: first + 1]),
        lambda k: statistics.median(k.seconds),
        lambda k: max(k.seconds),
        lambda k: k.start + sum(k.seconds),
    ]:
        row += "".join(f"{measure(kernel):8.2f}" for kernel in kernels)
    row += "".join(f"{kernel.memory():7.2f}" for kernel in kernels)
    print(row + (f"  ({failed} cells failed)" if failed else ""), flush=True)
    for kernel in kernels:
        kernel.end()
    return [(path.stem, source, a, b) for (source, _), a, b in zip(code, kernels[0].seconds, kernels[1].seconds)]


arguments = argparse.ArgumentParser()
arguments.add_argument("--target", type=pathlib.Path, default="target")
arguments.add_argument("notebooks", nargs="*")
arguments = arguments.parse_args()
paths = [NOTEBOOKS / f"{name}.ipynb" for name in arguments.notebooks] or sorted(NOTEBOOKS.glob("*.ipynb"))

# Elsewhere than below the folder for temporary files its cells do not find the standard library.
workbook, kept = str(arguments.target.absolute() / "debug/workbook"), pathlib.Path(tempfile.gettempdir()) / "bench-evcxr_jupyter"
kept.mkdir(parents=True, exist_ok=True)
connection, none = "{connection_file}", tempfile.mkdtemp()
subprocess.run([workbook, "kernel", "install", "--prefix", none], check=True, stdout=subprocess.DEVNULL)
ours = [workbook, "kernel", "start", connection], {}
other = {"EVCXR_TMPDIR": str(kept), "GENERATIVE_MODELS_KERNEL": none, "JUPYTER_PATH": none}
theirs = [workbook, "--control_file", connection], other

builder = Kernel("evcxr_jupyter", *theirs)
builder.execute(cells(paths[0])[0][0])
builder.end()

print("seconds, each time of our kernel and of evcxr_jupyter; memory in GiB")
print(f"{'notebook':34}{'cells':>6}{'first variable':>16}{'median cell':>16}{'longest cell':>16}{'in all':>16}{'memory':>14}")
all_cells = [cell for path in paths for cell in compare(path, ours, theirs)]
medians = [statistics.median(cell[kernel] for cell in all_cells) for kernel in [2, 3]]
print(f"\nmedian of all {len(all_cells)} cells: {medians[0]:.2f} and {medians[1]:.2f}; our longest:")
for notebook, source, mine, other in sorted(all_cells, key=lambda cell: -cell[2])[:10]:
    print(f"  {mine:8.2f} {other:8.2f}  {notebook[:2]} {source.splitlines()[0][:80]}")
