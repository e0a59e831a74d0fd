"""The browser tests' fixtures. Without Chromium they skip and say how to get it (or fail, where it is required)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from jupyter import REMEDY, ROOT, Server, chromium, chromium_arguments, jupyter_lab
from playwright.sync_api import Browser, Page, sync_playwright

CHAPTER = "34-configuration-files.ipynb"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        reason = f"no Chromium found; {REMEDY}"
        if os.environ.get("MUOMNI_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=chromium_arguments())
        yield running
        running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    """JupyterLab on a copy of what the notebooks need; nothing in the project is written."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "notebooks").mkdir()
    if (ROOT / "notebooks" / CHAPTER).exists():
        shutil.copy(ROOT / "notebooks" / CHAPTER, folder / "notebooks")
    with jupyter_lab(folder, tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="module")
def new_page(browser: Browser) -> Iterator[Page]:
    """A fresh browser tab for a module's tests."""
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
