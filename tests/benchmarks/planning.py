"""How fast planning is: importing it, one plan, and all configs from the data. Run: python tests/benchmarks/planning.py

| figure | bar |
|---|---|
| `import muomni.plan`, Python's own start included | 0.3 s |
| one closed-form evaluation of memory, by category | 200 µs |
| `update-configs` over manifests of 10,000 rows | 0.45 s |
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from small_project import ROOT, ROWS, make_project, write_annotations, write_csv

from muomni.config import STAGES, read_config
from muomni.plan import peak_memory, plan
from muomni.plan.outcome import Request
from muomni.plan.update import update_configs

SIZE = 10_000


class Seconds(NamedTuple):
    """The least of several runs, on the clock and of this machine's processors: a busy machine shows in the first."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:8.3f} s ({self.cpu:.3f} s of processor)"


def best_of(runs: int, action: Callable[[], object]) -> Seconds:
    """The fastest of several runs, child processes included."""
    walls, cpus = [], []
    for _ in range(runs):
        start, busy = time.perf_counter(), sum(os.times()[:4])
        action()
        walls.append(time.perf_counter() - start)
        cpus.append(sum(os.times()[:4]) - busy)
    return Seconds(min(walls), min(cpus))


def python(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def imports() -> None:
    print(f"Python alone                {best_of(5, python('-c', 'pass'))}")
    for module in ("muomni.config", "muomni.plan", "muomni.cli"):
        print(f"import {module:<21}{best_of(5, python('-c', f'import {module}'))}")
    command = ("-m", "muomni.cli", "plan", str(ROOT / "configs/thinker_tiny.json"), "--tokens", "10000000")
    print(f"muomni plan, as typed       {best_of(5, python(*command))}")


def microseconds(action: Callable[[], object]) -> float:
    return 1e6 * statistics.median(best_of(1, action).wall for _ in range(50))


def plans() -> None:
    """Microseconds of one plan (parameters, memory, batches, schedule) and of one evaluation of memory."""
    print(f"{'':<16}{'plan':>10}{'memory':>10}   µs, median of 50")
    for stage in STAGES:
        for profile in ("tiny", "nano"):
            config = read_config(ROOT / f"configs/{stage}_{profile}.json").config
            size = {config.unit: 12_345_678}
            whole = microseconds(lambda c=config, s=size: plan(c, **s))
            memory = microseconds(lambda c=config: peak_memory(c, c.batch_size, True))
            print(f"{stage + '_' + profile:<16}{whole:10.0f}{memory:10.0f}")


def updates() -> None:
    """All seven configs: 600 lines of text (its tokenizer is there) and 10,000 rows of everything else."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name) / "project")
        os.chdir(project)
        update_configs(Request(), progress=False)  # trains the tokenizer
        for file, columns in ROWS.items():
            write_csv(Path("data") / file, columns, SIZE)
        write_annotations(Path("data/images/annotations.json"), SIZE)

        def first() -> None:
            for record in Path("data/.cache").glob("*"):
                record.unlink()
            update_configs(Request(), progress=False)

        typed = python("-m", "muomni.cli", "update-configs")
        print(f"update-configs, {SIZE:,} rows, nothing counted yet {best_of(5, first)}")
        print(f"the same again                                    {best_of(5, lambda: update_configs(Request()))}")
        print(f"the same again, as typed                          {best_of(5, typed)}")
        os.chdir(ROOT)


if __name__ == "__main__":
    imports()
    plans()
    updates()
