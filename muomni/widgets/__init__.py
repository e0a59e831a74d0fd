"""The panels of the notebooks: a config's sliders, a manifest's rows, a run's monitor. Loaded when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PANELS = {
    "ConfigLab": "muomni.widgets.config_lab",
    "DataBrowser": "muomni.widgets.data_browser",
    "TrainingMonitor": "muomni.widgets.training_monitor",
}

__all__ = ["ConfigLab", "DataBrowser", "TrainingMonitor"]


def __getattr__(name: str) -> Any:
    if name not in PANELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PANELS[name]), name)


def __dir__() -> list[str]:
    return sorted(PANELS)
