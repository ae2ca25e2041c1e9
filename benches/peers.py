"""The same works in this library and in those one would use instead, as one table of ratios.

usage: python benches/peers.py [--rounds N] [FILTER]...        (works whose name holds one of the filters; default: all)

Run it with an environment that has benches/peers/requirements.txt. Every round calls all sides once, one after the other, so that a
busy machine hits them alike; a column shows the least of the rounds. Each file benches/peers/X.py names the peers' side of the works
of benches/X.rs: WORKS maps a work's name to a function that prepares its data and gives the peers' calls by their names. Those in Rust
are a package of their own, benches/peers/rust, whose works are named "peer: work".
The processors are limited alike, to those of the variable THREADS (default: 2).
"""

import argparse
import importlib
import json
import math
import os
import pathlib
import subprocess
import sys
import time

THREADS = os.environ.setdefault("THREADS", "2")
for library in ["OMP", "OPENBLAS", "MKL", "RAYON"]:
    os.environ[f"{library}_NUM_THREADS"] = THREADS

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))
# How long one measurement should take at least.
LEAST = 0.02


class Program:
    """A benchmark in Rust, which makes calls on request."""

    def __init__(self, command, directory):
        build = subprocess.run([*command, "--message-format", "json"], cwd=directory, check=True, stdout=subprocess.PIPE)
        messages = map(json.loads, build.stdout.splitlines())
        program = [m["executable"] for m in messages if m.get("executable")][-1]
        self.names = subprocess.run([program, "names"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        self.process = subprocess.Popen([program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, calls, name):
        print(calls, name, file=self.process.stdin, flush=True)
        return tuple(map(float, self.process.stdout.readline().split()))


def target():
    """Cargo's target directory."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    metadata = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE).stdout
    return pathlib.Path(json.loads(metadata)["target_directory"])


def seconds(calls, call):
    begun = time.perf_counter()
    for _ in range(calls):
        value = call()
    return (time.perf_counter() - begun) / calls, float(value)


def compare(name, sides, rounds, tolerance):
    """The least seconds of each side."""
    # The first calls warm the caches and tell how many make a measurement.
    calls, least = {}, {side: math.inf for side in sides}
    values = {}
    for side, measure in sides.items():
        measure(1)
        calls[side] = max(1, math.ceil(LEAST / measure(1)[0]))
    for _ in range(rounds):
        for side, measure in sides.items():
            # Until the threads of the side before no longer wait for work: those of BLAS keep a processor busy meanwhile.
            time.sleep(0.1)
            took, values[side] = measure(calls[side])
            least[side] = min(least[side], took)
    ours = values["ours"]
    for side, value in values.items():
        assert math.isnan(value) or abs(value - ours) <= tolerance * abs(ours), f"{name}: {ours} and {value} of {side}"
    return least


def readable(seconds):
    unit, factor = next((u, f) for u, f in [("s", 1), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)] if seconds * f >= 1 or u == "ns")
    return f"{seconds * factor:.3g} {unit}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("filters", nargs="*")
    arguments = parser.parse_args()
    wanted = lambda name: not arguments.filters or any(f in name for f in arguments.filters)
    in_rust = Program(["cargo", "build", "--release", "--target-dir", target() / "peers"], HERE / "peers/rust")
    print(f"| work, {THREADS} processors | ours | peers: time, and how many times ours |\n|---|---|---|")
    for file in sorted((HERE / "peers").glob("*.py")):
        module = importlib.import_module(file.stem)
        works = {name: prepare for name, prepare in module.WORKS.items() if wanted(name)}
        if not works:
            continue
        ours = Program(["cargo", "bench", "--bench", file.stem, "--no-run"], HERE.parent)
        for name, prepare in works.items():
            sides = {"ours": lambda calls: ours.seconds(calls, name)}
            for of_peer in (n for n in in_rust.names if n.split(": ")[1] == name):
                sides[of_peer.split(": ")[0]] = lambda calls, of_peer=of_peer: in_rust.seconds(calls, of_peer)
            sides |= {peer: lambda calls, call=call: seconds(calls, call) for peer, call in prepare().items()}
            # What is drawn at random agrees to the digits that its error leaves.
            tolerance = 1e-2 if "Monte Carlo" in name else getattr(module, "TOLERANCE", 1e-9)
            least = compare(name, sides, arguments.rounds, tolerance)
            mine = least.pop("ours")
            peers = "; ".join(f"{peer} {readable(s)}, **{s / mine:.2g}×**" for peer, s in least.items())
            print(f"| {name} | {readable(mine)} | {peers} |", flush=True)


main()
