"""The training loop: what a step does, what is saved, how a run goes on, and what stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from toy_objectives import Gan, Points, Regression

from muomni.config import ThinkerConfig
from muomni.errors import UserError
from muomni.train.checkpoint import RunFolder
from muomni.train.events import Control, Event, Finished, TrainEvent, Validated
from muomni.train.loop import Trainer
from muomni.train.objective import Objective


def config(folder: Path, **changes: Any) -> ThinkerConfig:
    settings: dict[str, Any] = dict(
        batch_size=8,
        gradient_accumulation_steps=1,
        max_steps=20,
        max_epochs=100,
        warmup_steps=2,
        val_freq=5,
        checkpoint_freq=4,
        print_freq=2,
        lr=1e-2,
        dropout=0.1,
        use_amp=False,
        save_dir=str(folder),
    )
    return ThinkerConfig(**(settings | changes))


def trainer(settings: ThinkerConfig, kind: type[Objective] = Regression, **more: Any) -> Trainer:
    torch.manual_seed(settings.seed)
    train = more.pop("train", Points(67))
    return Trainer(kind(settings), train, Points(12), RunFolder(settings.save_dir), **more)  # type: ignore[call-arg]


def weights(t: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in t.objective.parameters()])


def test_accumulating_k_micro_batches_equals_one_batch_k_times_as_large(tmp_path: Path) -> None:
    """Examples have unequal numbers of targets, so a mean of means would differ."""
    whole = trainer(config(tmp_path / "whole", batch_size=12, dropout=0.0, max_steps=9))
    parts = trainer(config(tmp_path / "parts", batch_size=3, gradient_accumulation_steps=4, dropout=0.0, max_steps=9))
    assert whole.fit().step == parts.fit().step == 9
    torch.testing.assert_close(weights(whole), weights(parts), rtol=1e-4, atol=1e-6)  # sums in another order


def test_a_set_smaller_than_the_effective_batch_still_makes_a_step_an_epoch(tmp_path: Path) -> None:
    t = trainer(config(tmp_path, batch_size=8, gradient_accumulation_steps=4, max_epochs=3), train=Points(13))
    before = weights(t)
    assert t.fit().step == 3
    assert not torch.equal(before, weights(t))


def test_training_ends_at_max_steps_or_after_max_epochs(tmp_path: Path) -> None:
    assert trainer(config(tmp_path / "a", max_steps=11)).fit().step == 11
    assert trainer(config(tmp_path / "b", max_epochs=1)).fit().step == 67 // 8


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7, 10, 13, 19])
@pytest.mark.parametrize("kind", [Regression, Gan])
def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(
    tmp_path: Path, stop_at: int, kind: type[Objective]
) -> None:
    settings = config(tmp_path / "once")
    once = trainer(settings, kind)
    once.fit()

    settings = config(tmp_path / "twice", print_freq=1)
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, TrainEvent) and event.step == stop_at:
            control.stop()

    stopped = trainer(settings, kind, listener=stop, control=control).fit()
    assert (stopped.step, stopped.reason) == (stop_at, "stopped")
    resumed = trainer(settings, kind)
    torch.manual_seed(123)  # whatever happened to the random state in between
    resumed.fit(resume=True)
    assert torch.equal(weights(once), weights(resumed))
    steps = [entry["step"] for entry in RunFolder(settings.save_dir).history() if "loss" in entry]
    assert steps == sorted(set(steps)), "no step is recorded twice"


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    settings = config(tmp_path)
    trainer(settings).fit()
    saved = (tmp_path / "last.json").read_text()
    with pytest.raises(UserError, match="holds a run already"):
        trainer(settings).fit()
    with pytest.raises(UserError, match="lr 0.01 → 0.02"):
        trainer(config(tmp_path, lr=0.02)).fit(resume=True)
    with pytest.raises(UserError, match="other data"):
        trainer(settings, data="another corpus").fit(resume=True)
    assert (tmp_path / "last.json").read_text() == saved


def test_the_best_checkpoint_is_replaced_only_by_a_better_one(tmp_path: Path) -> None:
    events: list[Event] = []
    t = trainer(config(tmp_path, lr=0.3, max_steps=40), listener=events.append)
    t.fit()
    scores = [(e.metrics["loss"], e.step) for e in events if isinstance(e, Validated)]
    best = RunFolder(tmp_path).pointed("best")
    assert best is not None and best.name == f"step-{min(scores)[1]:06d}"
    assert len(list(tmp_path.glob("step-*"))) <= 2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    t = trainer(config(tmp_path, max_epochs=1, drop_last=False), train=Points(40, poisoned=17))
    place = next(step for step in range(5) if any(p.index == 17 for p in t.order.step_places(step)))
    with pytest.raises(UserError, match=f"step {place + 1} cannot be taken"):
        t.fit()
    assert torch.isfinite(weights(t)).all(), "the bad step was not taken"


def test_the_turns_of_a_gan_learn_apart(tmp_path: Path) -> None:
    """Each turn moves its own parameters and no others."""
    t = trainer(config(tmp_path, max_steps=1, wd=0.0), Gan)
    moved: list[tuple[str, bool, bool]] = []
    model = t.objective.model
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    original = {name: optimizer.step for name, optimizer in t.stepper.optimizers.items()}

    def watched(name: str) -> Any:
        def step(*args: Any) -> Any:
            out = original[name](*args)
            changed = [
                not torch.equal(before[f"{part}.weight"], model.get_parameter(f"{part}.weight"))
                for part in ("discriminator", "generator")
            ]
            moved.append((name, *changed))  # type: ignore[arg-type]
            return out

        return step

    for name, optimizer in t.stepper.optimizers.items():
        optimizer.step = watched(name)  # type: ignore[method-assign]
    t.fit()
    assert moved == [("discriminator", True, False), ("generator", True, True)]


def test_no_usable_examples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable examples"):
        trainer(config(tmp_path), train=Points(0))


def test_events_tell_the_whole_run(tmp_path: Path) -> None:
    events: list[Event] = []
    trainer(config(tmp_path), listener=events.append).fit()
    reports = [e for e in events if isinstance(e, TrainEvent)]
    assert [e.step for e in reports] == list(range(2, 21, 2))
    assert reports[-1].loss < reports[0].loss and reports[-1].seconds_left == 0
    assert isinstance(events[-1], Finished)
