"""The panels of the notebooks: config sliders, a manifest's rows, a run's monitor, a chat. Loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PANELS = {
    "ChatPanel": "muomni.widgets.chat_panel",
    "ConfigLab": "muomni.widgets.config_lab",
    "DataBrowser": "muomni.widgets.data_browser",
    "TrainingMonitor": "muomni.widgets.training_monitor",
}

__all__ = ["ChatPanel", "ConfigLab", "DataBrowser", "TrainingMonitor"]


def __getattr__(name: str) -> Any:
    if name not in PANELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PANELS[name]), name)


def __dir__() -> list[str]:
    return sorted(PANELS)
