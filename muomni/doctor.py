"""`muomni doctor`: is everything here that the course needs, and what to do about what is not.

A check is `ok`, `missing` (something optional, or not made yet) or `bad` (nothing will work until it is mended).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from muomni.config import STAGES, StageConfig, disagreements, read_config
from muomni.data.sources import SOURCES
from muomni.errors import UserError
from muomni.plan import GIB
from muomni.plan.update import remedy

State = Literal["ok", "missing", "bad"]

OLDEST_PYTHON = (3, 11)
DISK_GIB = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and the remedy where it is not as it should be."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(data: Path, configs: Path) -> list[Check]:
    """All checks, in the order in which they should be mended."""
    checks: list[Check] = [_python(), *_packages(), *_device(), _browser(), _disk()]
    return [*checks, *_configs(configs), *_data(data)]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Check("python", "ok", version)
    return Check("python", "bad", version, f"Install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer.")


def _packages() -> Iterator[Check]:
    """Every package that pyproject.toml asks for, in the version it asks for; the test extras may be missing."""
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(text) for text in metadata.requires("muomni") or []]
    except (ImportError, metadata.PackageNotFoundError):
        yield Check(
            "packages", "bad", "muomni is not installed", "Run `make lab`, or `pip install -e .` in the project."
        )
        return
    good = []
    for requirement in wanted:
        extra = requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        remedy = f"pip install '{requirement.name}{requirement.specifier}'"
        state: State = "missing" if extra else "bad"
        version = _version(requirement.name)
        if version is None:
            yield Check(requirement.name, state, "not installed" + (" (for tests only)" if extra else ""), remedy)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            good.append(requirement.name)
        else:
            yield Check(requirement.name, state, f"{version}, but {requirement.specifier} is asked for", remedy)
    yield Check("packages", "ok", f"{len(good)} as asked for, torch {_version('torch')} among them")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device() -> Iterator[Check]:
    try:
        import torch

        from muomni.train.precision import best_device, computes_bf16

        device = best_device()
        fast = computes_bf16(device)
    except Exception as error:  # a broken installation of torch fails in many ways, and all of them are told here
        yield Check("device", "bad", f"torch does not work: {error}", "Install the project anew: `make lab`.")
        return
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found = f"{properties.name}, {properties.total_memory / GIB:.1f} GiB"
    else:
        found = f"CPU, {torch.get_num_threads()} threads"
    yield Check("device", "ok", found)
    yield Check("bf16", "ok", "in hardware: used" if fast else "not in hardware: fp32 is used instead")


def _browser() -> Check:
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    found += [str(path) for path in cache.glob("chromium*") if path.is_dir()]
    if found:
        return Check("chromium", "ok", found[0])
    return Check(
        "chromium",
        "missing",
        "not found (the browser tests are skipped)",
        "Install your distribution's chromium, or run `playwright install chromium`.",
    )


def _disk() -> Check:
    free = shutil.disk_usage(".").free / GIB
    if free >= DISK_GIB:
        return Check("disk", "ok", f"{free:.0f} GiB free")
    return Check("disk", "missing", f"{free:.1f} GiB free", f"Checkpoints and data want {DISK_GIB} GiB or more.")


def _configs(folder: Path) -> Iterator[Check]:
    """Every config is valid, and those of one profile fit together."""
    profiles: dict[str, dict[str, StageConfig]] = {}
    fine = 0
    for path in sorted(folder.glob("*.json")):
        try:
            file = read_config(path)
        except UserError as error:
            for line in str(error).splitlines():
                yield Check("config", "bad", line, "Mend the file, or take it from the project's repository again.")
            continue
        fine += 1
        profiles.setdefault(path.stem.removeprefix(file.stage + "_"), {})[file.stage] = file.config
    for profile, configs in profiles.items():
        missing = [stage for stage in STAGES if stage not in configs]
        if missing and profile in ("tiny", "nano"):
            yield Check("config", "missing", f"{folder}: no {', '.join(f'{m}_{profile}.json' for m in missing)}")
        for stage, problems in disagreements(configs).items():
            for problem in problems:
                yield Check(
                    "config",
                    "bad",
                    f"{folder / f'{stage}_{profile}.json'}: {problem.field}: {problem.message}",
                    "Configs of one profile are parts of one model.",
                )
    if fine:
        yield Check("configs", "ok", f"{fine} valid in {folder}")
    else:
        yield Check("configs", "bad", f"none in {folder}", "Run it in the project's folder, or give --configs.")


def _data(folder: Path) -> Iterator[Check]:
    """Which stages have data."""
    for stage, source in SOURCES.items():
        path = source.first(folder)
        if path is not None:
            yield Check(f"data: {stage}", "ok", str(path))
        else:
            yield Check(f"data: {stage}", "missing", "not there yet", remedy(folder))
