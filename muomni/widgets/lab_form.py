"""The config lab's controls as plain data: which there are, what they hold, and what is said beside them."""

from __future__ import annotations

from typing import Any

from muomni.config import FieldSpec
from muomni.plan import epoch_choice
from muomni.widgets.lab_state import LabState
from muomni.widgets.stops import stops_of

GROUPS = {
    "plan": ("Data and plan", "What the plan is made for. These are not settings of the file."),
    "batch": ("Batch", "How many examples stand behind one step, and in how many pieces they are computed."),
    "model": ("Model", "The shape of the network."),
    "schedule": ("Schedule", "How long, and how often to look."),
    "optimizer": ("Optimizer", "How far each step goes."),
    "sound": ("Sound", "How sound becomes a mel spectrogram."),
    "codec": ("Codec", "How mel frames become codes."),
    "data": ("Data files", "What is read."),
    "run": ("Run", "How the run behaves."),
}
MEMORY_STOPS = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 141, 192)
WEIGHT_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def form(state: LabState, file: str, files: list[str]) -> dict[str, Any]:
    """The controls of a file, by group, which the browser builds once."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS}
    for spec in (*state.inputs.values(), *state.specs.values()):
        groups.setdefault(spec.group, []).append(control(spec, state))
    sections = []
    for name, fields in groups.items():
        title, note = GROUPS.get(name, (name.capitalize(), ""))
        if fields:
            sections.append({"group": name, "title": title, "note": note, "fields": fields})
    return {
        "file": file,
        "title": type(state.file.config).title,
        "sections": sections,
        "files": files if file in files else [file, *files],
    }


def control(spec: FieldSpec, state: LabState) -> dict[str, Any]:
    """One control: its kind, its words, and the stops of its slider."""
    own = getattr(state.file.config, spec.name, spec.default)
    parts = []
    stops: list[float] = []
    if spec.name == "memory_gib":
        stops = list(MEMORY_STOPS)
    elif spec.kind in ("int", "float"):
        stops = [*stops_of(spec, state.size.examples if spec.name == state.unit else own or 0)]
    elif spec.kind == "weights":
        parts = [
            {"name": f"{spec.name}.{task}", "label": task, "stops": sorted({*WEIGHT_STOPS, float(weight)})}
            for task, weight in own.items()
        ]
    return {
        "name": spec.name,
        "kind": spec.kind,
        "unit": spec.unit,
        "help": spec.help,
        "allowed": spec.allowed,
        "choices": list(spec.choices),
        "stops": stops,
        "parts": parts,
    }


def values(state: LabState) -> dict[str, Any]:
    """What every control holds; weights one by one as well."""
    found = {name: state.value(name) for name in (*state.inputs, *state.specs)}
    if found["epochs"] is None:
        found["epochs"] = state.reading.plan.max_epochs
    for name, spec in state.specs.items():
        if spec.kind == "weights":
            found |= {f"{name}.{task}": weight for task, weight in found[name].items()}
    return found


def notes(state: LabState) -> dict[str, list[str]]:
    """What is said beside a control: [level, text]. An error, a difference from the plan, or from the file."""
    found: dict[str, list[str]] = {}
    for change in state.changes:
        found[change.field] = ["edited", f"in the file: {plain(change.before)}"]
    if state.valid:
        for name, (_, planned) in state.reading.differing.items():
            said = found.get(name, ["", ""])[1]
            found[name] = ["plan", f"planned: {planned:,}" + (f" · {said}" if said else "")]
        for stage, problem in state.disagreements():
            if stage == state.file.stage and problem.field:
                found[problem.field] = ["warning", problem.message]
    size = state.size
    untouched = state.now.examples == size.examples
    found[state.unit] = ["", size.source if untouched else f"at first {size.examples:,} ({size.source})"]
    choice = epoch_choice(state.reading.plan.examples, state.reading.config.unit)
    found["epochs"] = ["", f"{choice.size_class} data: {choice.lowest} to {choice.highest}"]
    for name, text in state.problems.items():
        found[name] = ["error", text]
    return found


def plain(value: Any) -> str:
    """A setting's value as it is read: 1,000, 0.003, true."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)
