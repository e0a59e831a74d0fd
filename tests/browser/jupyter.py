"""A real JupyterLab and a real browser for the tests: started for them, on this machine only, stopped after them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
REMEDY = "install Debian's package: apt-get install chromium"


@dataclass(frozen=True)
class Server:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path

    def page_of(self, notebook: str) -> str:
        """The address that opens a notebook, alone in its tab."""
        return f"{self.url}/doc/tree/{notebook}?token={self.token}"


def chromium() -> str | None:
    """The distribution's Chromium, or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def chromium_arguments() -> list[str]:
    """What keeps a headless Chromium to itself; root (a container) cannot have the sandbox."""
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        *sandbox,
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-device-for-media-stream",  # a microphone that beeps, once a page may use it
    ]


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells for this interpreter's kernel."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def jupyter_lab(folder: Path, private: Path) -> Iterator[Server]:
    """JupyterLab on `folder`, with its own settings in `private`; ended when the block ends."""
    news = private / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    port, token = free_port(), secrets.token_hex(16)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "IPYTHONDIR": str(private / "ipython"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
        "--ServerApp.allow_root=True",
    ]
    log = private / "jupyter.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api?token={token}", process, log)
        yield Server(url, token, folder)
    finally:
        process.terminate()  # JupyterLab ends its kernels on SIGTERM
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"


def open_notebook(page: Page, server: Server, notebook: str) -> None:
    """Open a notebook and wait until its kernel can be asked to run it."""
    page.goto(server.page_of(notebook))
    page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=90_000)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")


def run_all(page: Page, wait: bool = True) -> None:
    """Run every cell; wait until the last is done and none has failed."""
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => window.ranAll = true)")
    if wait:
        page.wait_for_function("window.ranAll", timeout=240_000)
        failed = page.locator(
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"], '
            '.jp-RenderedError, [data-mime-type="application/vnd.jupyter.error"]'
        )
        if failed.count():
            raise AssertionError("a cell failed:\n" + "\n".join(failed.all_inner_texts()))
