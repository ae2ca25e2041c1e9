"""The kernel under real front ends: nbclient, the messages of an editor, JupyterLab in a headless browser.

usage: jupyter.py WORKBOOK PROJECT kernel|notebooks|lab

Run by workbook/tests/jupyter.rs; needs workbook/tests/requirements.txt and, for `lab`, Chromium.
"""

import atexit
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time

import nbformat
import psutil
from jupyter_client import KernelManager
from nbclient import NotebookClient

workbook, project = sys.argv[1], pathlib.Path(sys.argv[2])
NAME = "generative-models"


def install():
    """Installs the kernel into an environment of its own, beside a kernel named `rust` that is not ours."""
    prefix = pathlib.Path(tempfile.mkdtemp(prefix="workbook-jupyter-"))
    kernels = prefix / "share/jupyter/kernels"
    (kernels / "rust").mkdir(parents=True)
    theirs = kernels / "rust/kernel.json"
    theirs.write_text('{"argv": ["their-own"], "display_name": "Rust", "language": "rust"}')
    (kernels / "rust/version.txt").write_text("0.0.1")
    subprocess.run([workbook, "kernel", "install", "--prefix", prefix], check=True)
    spec = json.loads((kernels / NAME / "kernel.json").read_text())
    assert spec["display_name"] == "Generative Models (Rust)", spec
    os.environ["JUPYTER_PATH"] = str(prefix / "share/jupyter")
    return prefix, theirs


def uninstall(prefix, theirs):
    subprocess.run([workbook, "kernel", "uninstall", "--prefix", prefix], check=True)
    assert not (prefix / "share/jupyter/kernels" / NAME).exists()
    assert "their-own" in theirs.read_text(), "the kernel named `rust` was touched"
    # A second time there is nothing left to remove, and that is no error.
    subprocess.run([workbook, "kernel", "uninstall", "--prefix", prefix], check=True)
    shutil.rmtree(prefix)


class Kernel:
    """A kernel as an editor uses it."""

    def __init__(self, folder):
        self.manager = KernelManager(kernel_name=NAME)
        self.manager.start_kernel(cwd=str(folder))
        atexit.register(self.manager.shutdown_kernel, now=True)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=600)

    def run(self, code, interrupt_at=None, timeout=600):
        """Status, text and MIME types of a cell; it is interrupted once its text has `interrupt_at`."""
        sent = self.client.execute(code)
        text, kinds = "", set()
        while True:
            if interrupt_at is not None and interrupt_at in text:
                interrupt_at, self.interrupted = None, time.time()
                self.manager.interrupt_kernel()
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != sent:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    text += content["text"]
                case "execute_result" | "display_data":
                    kinds |= set(content["data"])
                    text += content["data"].get("text/plain", "")
                case "error":
                    text += "\n".join(content["traceback"])
                case "status" if content["execution_state"] == "idle":
                    break
        reply = self.client.get_shell_msg(timeout=timeout)
        return reply["content"]["status"], text, kinds

    def ok(self, code):
        status, text, kinds = self.run(code)
        assert status == "ok", f"{code}\n{text}"
        return text, kinds

    def process(self):
        return psutil.Process(self.manager.provisioner.pid)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def listening(kernel):
    """The addresses on which the kernel's process listens."""
    connections = kernel.process().net_connections()
    return [connection.laddr.ip for connection in connections if connection.status == "LISTEN"]


def test_kernel():
    prefix, theirs = install()
    with tempfile.TemporaryDirectory() as folder:
        # A package of the user's own; what it exports must be inferred like ours.
        package = pathlib.Path(folder) / "mine"
        (package / "src").mkdir(parents=True)
        (package / "Cargo.toml").write_text('[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2024"\n')
        (package / "src/lib.rs").write_text(
            "#[derive(Debug)] pub struct Pair(pub i32, pub i32);\npub fn pair() -> Pair { Pair(3, 4) }\n"
        )
        kernel = Kernel(project / "notebooks")
        directory = pathlib.Path(kernel.process().environ()["GENERATIVE_MODELS_KERNEL"])
        assert directory.exists()
        assert set(listening(kernel)) == {"127.0.0.1"}, listening(kernel)
        kernel.ok(':dep generative-models = { path = ".." }\nuse generative_models::prelude::*;')
        kernel.ok("let flowers = data::iris()?;")
        kernel.ok('let widths = data::matrix(&flowers, &["sepal width"])?;')
        kernel.ok("let fit = Gaussian::fit(&widths)?;")
        # Types that a cell of one's own may meet: of frames, expressions, matrices.
        kernel.ok('let column = flowers.column("sepal width")?.f64()?.clone();')
        kernel.ok('let means = flowers.clone().lazy().group_by([col("species")]).agg([col("sepal width").mean()]);')
        kernel.ok("let table = means.clone().collect()?;")
        kernel.ok("let eigen = fit.covariance().clone().symmetric_eigen();")
        kernel.ok("let mut generator = rng(\"mine\"); let draws: Vec<f64> = (0..3).map(|_| StandardNormal.sample(&mut generator)).collect();")
        text, kinds = kernel.ok("table")
        assert {"text/html", "text/plain"} <= kinds, kinds
        print("types of frames, expressions and matrices are inferred")

        completion = kernel.client.complete("Gaussian::univ", cursor_pos=14, reply=True, timeout=60)["content"]
        assert any(match.startswith("univariate") for match in completion["matches"]), completion
        completion = kernel.client.complete("fit.entr", cursor_pos=8, reply=True, timeout=60)["content"]
        assert any(match.startswith("entropy") for match in completion["matches"]), completion
        help = kernel.client.inspect("Gaussian::entropy", cursor_pos=17, reply=True, timeout=60)["content"]
        assert help["found"] and "differential entropy" in help["data"]["text/plain"], help
        print("Tab completes and Shift-Tab documents the library's names")

        kernel.ok(f':dep mine = {{ path = "{package}" }}')
        kernel.ok("let pair = mine::pair();")
        text, _ = kernel.ok("pair.0 + pair.1")
        assert text == "7", text
        print("a dependency of one's own works, its types included")

        kernel.ok("fn doubled(x: i32) -> i32 { 2 * x }")
        for endless in ["loop {}", "loop { std::thread::sleep(std::time::Duration::from_secs(1)); }"]:
            status, text, _ = kernel.run(f'println!("running"); {endless}', interrupt_at="running")
            seconds = time.time() - kernel.interrupted
            assert status == "error" and seconds < 2, (status, seconds, text)
            assert "The variables are lost" in text and "are kept" in text, text
            assert kernel.ok("doubled(21)")[0] == "42"
            status, text, _ = kernel.run("pair.0")
            assert status == "error" and "cannot find value `pair`" in text, text
            print(f"an interrupt ended {endless!r} after {seconds:.2f} s; definitions are kept, variables are not")
        # The compiler is interrupted at once, and nothing is lost.
        kernel.ok("let kept = doubled(3);")
        status, text, _ = kernel.run("let other: i32 = doubled(kept);", interrupt_at="")
        assert kernel.ok("kept")[0] == "6", text

        # An overflow in a cell is an error, and the cell's own.
        status, text, _ = kernel.run("let big = doubled(2_000_000_000);")
        assert status == "error" and "overflow" in text, text
        assert kernel.ok("doubled(4)")[0] == "8"
        print("a panic fails the cell; the kernel goes on")
        kernel.end()
        # A front end may kill a kernel that takes long to end; then the next one removes its directory.
        Kernel(project / "notebooks").end()
        assert not directory.exists(), "the directory of a kernel that has ended is left"
    uninstall(prefix, theirs)


def test_notebooks():
    """The first and the last notebook by nbclient; a run has all of them. The texts must be the committed ones."""
    prefix, theirs = install()
    notebooks = sorted((project / "notebooks").glob("*.ipynb"))
    for path in (notebooks[0], notebooks[-1]):
        committed = nbformat.read(path, as_version=4)
        executed = nbformat.from_dict(json.loads(json.dumps(committed)))
        begun = time.time()
        NotebookClient(
            executed, timeout=600, startup_timeout=600, kernel_name=NAME, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        cells = 0
        for before, after in zip(committed.cells, executed.cells):
            if before.cell_type == "code":
                cells += 1
                assert streams(before) == streams(after), f"{path.name}:\n{streams(before)}\n{streams(after)}"
        print(f"{path.name}: {cells} cells by nbclient in {time.time() - begun:.0f} s, with the committed text")
    uninstall(prefix, theirs)


def streams(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_lab():
    """JupyterLab, started by `workbook lab`, in a browser: run two cells, see a figure, interrupt an endless cell."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="workbook-lab-"))
    bin = str(pathlib.Path(sys.executable).parent)
    environment = os.environ | {"PATH": bin + os.pathsep + os.environ["PATH"], "JUPYTER_CONFIG_DIR": str(folder), "HOME": os.environ["HOME"]}
    lab = subprocess.Popen(
        [workbook, "lab", "--no-browser", "--allow-root", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )
    try:
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": NAME, "display_name": "Generative Models (Rust)", "language": "rust"}})
        notebook.cells = [
            nbformat.v4.new_code_cell(f':dep generative-models = {{ path = "{project}" }}\nuse generative_models::prelude::*;'),
            nbformat.v4.new_code_cell('let t = df!("x" => [0.0, 1.0, 2.0], "y" => [0.0, 1.0, 4.0])?;\nFigure::new("a parabola").line(&t, "x", "y")'),
            nbformat.v4.new_code_cell("loop {}"),
        ]
        nbformat.write(notebook, folder / "try.ipynb")
        url = None
        for line in lab.stdout:
            if found := re.search(r"http://(127\.0\.0\.1|localhost):\d+/lab\?token=\w+", line):
                url = found.group(0)
                break
        assert url, "JupyterLab did not start"
        with sync_playwright() as browsers:
            browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url.replace("/lab?", "/lab/tree/try.ipynb?"))
            page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
            page.locator(".jp-KernelName", has_text="Generative Models (Rust)").wait_for(timeout=60_000)
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=300_000)
            page.locator(".jp-CodeCell .cm-content").first.click()
            page.keyboard.press("Shift+Enter")
            page.keyboard.press("Shift+Enter")
            image = page.locator(".jp-CodeCell >> nth=1 >> .jp-OutputArea-output img")
            image.wait_for(timeout=120_000)
            width = image.evaluate("image => image.naturalWidth")
            assert width > 300, width
            page.keyboard.press("Shift+Enter")
            page.wait_for_timeout(2000)
            begun = time.time()
            page.get_by_role("button", name=re.compile("Interrupt the kernel")).first.click()
            page.get_by_text("The variables are lost").wait_for(timeout=10_000)
            seconds = time.time() - begun
            assert seconds < 2, seconds
            page.screenshot(path=str(pathlib.Path(workbook).parent.parent / "jupyter/lab.png"))
            browser.close()
        print(f"JupyterLab ran two cells, showed a figure {width} pixels wide, and interrupted an endless cell in {seconds:.1f} s")
    finally:
        lab.terminate()
        try:
            lab.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(lab.pid, 9)
        shutil.rmtree(folder, ignore_errors=True)


{"kernel": test_kernel, "notebooks": test_notebooks, "lab": test_lab}[sys.argv[3]]()
