"""The mean of several runs' weights: each tensor's, only of the same model, and never over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from muomni.errors import UserError
from muomni.models.checkpoint import CONFIG, WEIGHTS, load_tensors, save_tensors
from scripts.average_weights import average
from scripts.ship_weights import UNTOLD, card


def run(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir()
    (folder / CONFIG).write_text('{"stage": "thinker"}', encoding="utf-8")
    save_tensors(folder / WEIGHTS, tensors)
    return folder


def test_fractions_are_averaged_in_full_precision_and_whole_numbers_kept(tmp_path: Path) -> None:
    mark = torch.tensor([7, 8])
    runs = [run(tmp_path / str(n), w=torch.tensor([n, 2048.0]).half(), mark=mark) for n in (0, 1, 5)]
    found = load_tensors(average(tmp_path / "mean", runs) / WEIGHTS)
    assert torch.equal(found["w"], torch.tensor([2.0, 2048.0])) and found["w"].dtype == torch.float32
    assert torch.equal(found["mark"], mark)
    assert (tmp_path / "mean" / CONFIG).exists()


@pytest.mark.parametrize(
    "other",
    [
        {"w": torch.zeros(3), "mark": torch.tensor([7])},
        {"w": torch.zeros(2), "mark": torch.tensor([6])},
        {"w": torch.zeros(2)},
    ],
    ids=["another shape", "another mark", "another tensor"],
)
def test_another_model_is_refused(tmp_path: Path, other: dict[str, torch.Tensor]) -> None:
    runs = [run(tmp_path / "one", w=torch.zeros(2), mark=torch.tensor([7])), run(tmp_path / "two", **other)]
    with pytest.raises(UserError, match=r"two: is another model than .*one: (w|mark) differs"):
        average(tmp_path / "mean", runs)
    assert not (tmp_path / "mean").exists()


def test_what_is_there_stays(tmp_path: Path) -> None:
    one = run(tmp_path / "one", w=torch.zeros(2))
    with pytest.raises(UserError, match="one: is there already"):
        average(one, [one, one])


def test_the_card_of_a_mean_asks_for_what_a_mean_does_not_know(tmp_path: Path) -> None:
    mean = average(tmp_path / "mean", [run(tmp_path / str(n), w=torch.zeros(2)) for n in range(2)])
    rows = card("thinker", "nano", mean, mean, {}, "muomni data make").splitlines()
    assert [row.split(" | ")[0] for row in rows if UNTOLD in row] == ["| data", "| steps", "| time"]
