"""The panels of the notebooks: sliders on a config, a monitor on a training run. Loaded when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PANELS = {
    "ConfigLab": "muomni.widgets.config_lab",
    "TrainingMonitor": "muomni.widgets.training_monitor",
}

__all__ = ["ConfigLab", "TrainingMonitor"]


def __getattr__(name: str) -> Any:
    if name not in PANELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PANELS[name]), name)


def __dir__() -> list[str]:
    return sorted(PANELS)
