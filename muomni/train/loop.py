"""The one training loop, for all seven stages.

A step: take the step's micro-batches; for each turn (one, or a GAN's two) add up the gradients of all of them, clip,
and let the turn's optimizer step; then report, validate and save when it is time.

- A micro-batch's mean loss counts for as many targets as it has, so that accumulating k micro-batches gives the
  gradients of one batch k times as large.
- The step's number seeds its randomness and picks its examples. Nothing random is carried from step to step, which is
  why a resumed run ends with the very weights of an uninterrupted one.
- A loss or gradient that is no longer finite stops the run before the step is taken; the last checkpoint stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from muomni.config import StageConfig
from muomni.data.pictures import as_png
from muomni.errors import UserError
from muomni.plan import learning_rate
from muomni.train.checkpoint import RunFolder, RunState
from muomni.train.events import Control, Finished, Listener, Sampled, Saved, TrainEvent, Validated
from muomni.train.objective import Examples, Objective, Turn
from muomni.train.order import Order, Place
from muomni.train.parallel import Processes
from muomni.train.precision import autocast, best_device
from muomni.train.step import Stepper

MOST_VALIDATION_BATCHES = 50


@dataclass(frozen=True)
class Result:
    """How a run ended: the last step's number, why, and the scores of its last and best validation."""

    folder: Path
    step: int
    reason: str
    metrics: dict[str, float]
    best: float | None
    seconds: float


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Make all of torch's randomness a function of the run's seed, the step and the process."""
    torch.manual_seed((seed * 1_000_003 + step) * 4099 + rank)


class Trainer:
    """Trains one objective; `fit` is the loop.

    Args:
        objective: model and losses, already on no particular device.
        train, validation: the examples; an empty validation set is not used.
        folder: where the run saves.
        data: fingerprint of the data, so that a run is resumed on what it began with.
        tokenizer: a file to keep beside the weights.
        listener, control: whoever watches, and may pause or stop, the run.
    """

    def __init__(
        self,
        objective: Objective,
        train: Examples,
        validation: Examples,
        folder: RunFolder,
        *,
        data: str = "",
        tokenizer: Path | None = None,
        listener: Listener | None = None,
        control: Control | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config: StageConfig = objective.config
        self.processes = processes or Processes()
        self.device = best_device()
        self.objective = objective.to(self.device)
        objective.shown = to_device(objective.shown, self.device)
        self.train, self.validation, self.folder = train, validation, folder
        self.data, self.tokenizer = data, tokenizer
        self.listener = listener or (lambda event: None)
        self.control = control or Control()
        if len(train) == 0:
            raise UserError("no usable examples to train on", field=self.config.stage_name)
        self.order = Order(
            len(train),
            self.config.effective_batch_size,
            self.config.seed,
            self.config.drop_last,
            None if train.lengths is None else tuple(map(float, train.lengths)),
        )
        self.total = min(self.config.max_steps, self.config.max_epochs * self.order.steps_per_epoch)
        self.stepper = Stepper(objective, self._wrapped(), self.device, self.processes)
        self.best: float | None = None
        self.best_step: int | None = None

    def _wrapped(self) -> Any:
        module: Any = self.objective
        if self.config.use_compile:
            module = torch.compile(module)
        if self.processes.world > 1:
            module = DistributedDataParallel(module, find_unused_parameters=len(self.objective.turns) > 1)
        return module

    def fit(self, resume: bool = False) -> Result:
        """Train to the end, or until stopped. With `resume`, from the run's last checkpoint."""
        start = self._begin(resume)
        began = time.perf_counter()
        metrics: dict[str, float] = {}
        watch = _Watch(began, start)
        reason = "finished"
        step = start
        batches = self._batches(start)
        for step in range(start, self.total):
            self.control.wait_if_paused()
            if self.control.stopping:
                reason = "stopped"
                break
            micro = [next(batches) for _ in self._places(step)]
            losses, norm, lr = self._step(step, micro)
            watch.add(losses, sum(self.objective.units(batch) for batch in micro) * self.processes.world)
            done = step + 1
            last = done == self.total
            if done % self.config.print_freq == 0 or last:
                self._report(watch, done, norm, lr)
            validates = done % self.config.val_freq == 0 or last
            better = False
            if validates and len(self.validation):
                metrics, better = self._validate(done)
            if last or better or done % self.config.checkpoint_freq == 0:
                self._save(done, better)
        else:
            step = self.total
        if reason == "stopped":
            self._save(step, False)
        seconds = time.perf_counter() - began
        self.listener(Finished(step, reason))
        return Result(self.folder.path, step, reason, metrics, self.best, seconds)

    def _begin(self, resume: bool) -> int:
        if not resume:
            if self.folder.has_run:
                raise UserError(
                    "holds a run already",
                    file=self.folder.path,
                    fix="Resume it (--resume), replace it (--replace), or train into another save_dir.",
                )
            return 0
        state = self.folder.restore(self.config, self.data, self.objective.model, self.stepper.optimizers)
        self.best, self.best_step = state.best, state.best_step
        if self.processes.first:
            self.folder.forget_after(state.step)
        return state.step

    def _places(self, step: int) -> list[list[Place]]:
        return self.order.micro_batches(step, self.config.batch_size, self.processes.rank, self.processes.world)

    def _batches(self, start: int) -> Iterator[Any]:
        """This process's micro-batches from step `start` on, prepared by `num_workers` processes beside the loop."""
        places = (batch for step in range(start, self.total) for batch in self._places(step))
        loader: DataLoader[Any] = DataLoader(
            self.train,  # type: ignore[arg-type]  # anything with len and [] is a map-style data set
            batch_sampler=places,
            collate_fn=self.train.collate,
            num_workers=self.config.num_workers,
            generator=torch.Generator().manual_seed(self.config.seed),
        )
        return iter(loader)

    def _step(self, step: int, micro: list[Any]) -> tuple[dict[str, float], float, float]:
        """One optimizer step. Returns the turns' mean losses, the longest gradient and the highest rate."""
        seed_step(self.config.seed, step, self.processes.rank)
        self.objective.train()
        micro = [to_device(batch, self.device) for batch in micro]
        weights = [self.objective.weight(batch) for batch in micro]
        total = self.processes.sum(sum(weights))
        losses: dict[str, float] = {}
        norms: list[float] = []

        def check(turn: Turn, loss: torch.Tensor, norm: torch.Tensor) -> None:
            losses[turn.name] = self.processes.sum(float(loss))
            norms.append(float(norm))
            self._must_be_finite(step, turn, losses[turn.name], norms[-1])

        def rate(turn: Turn) -> float:
            return learning_rate(
                step,
                lr=turn.lr,
                warmup=self.config.warmup_steps,
                max_steps=self.total,
                min_ratio=self.config.lr_min_ratio,
            )

        self.stepper.step(micro, [weight / total for weight in weights], rate, check)
        return losses, max(norms), max(rate(turn) for turn in self.objective.turns)

    def _must_be_finite(self, step: int, turn: Turn, loss: float, norm: float) -> None:
        if isfinite(loss) and isfinite(norm):
            return
        early = step < 2 * self.config.warmup_steps + 100
        cause = (
            "a learning rate too high for these settings: lower it or lengthen the warmup"
            if early
            else "an extreme example or too little precision: check the data, or turn use_amp off"
        )
        last = self.folder.pointed("last")
        kept = f"The last good checkpoint is {last}." if last else "No checkpoint had been saved yet."
        raise UserError(
            f"step {step + 1} cannot be taken: the {turn.name}'s loss is {loss:g}, its gradient's length {norm:g}",
            file=self.folder.path,
            fix=f"The likely cause is {cause}. {kept}",
        )

    def _report(self, watch: _Watch, done: int, norm: float, lr: float) -> None:
        loss, rate = watch.read(done)
        event = TrainEvent(
            step=done,
            max_steps=self.total,
            epoch=self.order.epoch_of(done - 1),
            loss=sum(loss.values()),
            lr=lr,
            examples_per_second=rate,
            unit=self.config.unit,
            memory_bytes=peak_bytes(self.device),
            seconds=watch.seconds,
            seconds_left=watch.seconds_left(done, self.total),
            grad_norm=norm,
        )
        if self.processes.first:
            entry = {"step": done, "loss": event.loss, "lr": lr, "seconds": round(watch.seconds, 3)}
            self.folder.record(
                entry | ({f"loss {name}": value for name, value in loss.items()} if len(loss) > 1 else {})
            )
            self.listener(event)

    def _validate(self, done: int) -> tuple[dict[str, float], bool]:
        """Scores on the validation set; whether its loss is the lowest so far."""
        metrics = evaluate(self.objective, self.validation, self.config, self.device)
        better = self.best is None or metrics["loss"] < self.best
        if better:
            self.best, self.best_step = metrics["loss"], done
        if self.processes.first:
            self.folder.record({"step": done, "validation": metrics})
            self.listener(Validated(done, metrics, better))
            sample = self.objective.sample(self.config.seed)
            if sample is not None:
                picture = None if sample.picture is None else as_png(sample.picture)
                self.listener(Sampled(done, sample.kind, sample.text, picture))
        return metrics, better

    def _save(self, done: int, better: bool) -> None:
        if self.processes.first:
            state = RunState(done, self.data, self.best, self.best_step)
            folder = self.folder.save(
                state, self.config, self.objective.model.state_dict(), self.stepper.optimizers, self.tokenizer, better
            )
            self.listener(Saved(done, str(folder)))
        self.processes.wait()


@torch.no_grad()
def evaluate(
    objective: Objective,
    examples: Examples,
    config: StageConfig,
    device: torch.device,
    most_batches: int = MOST_VALIDATION_BATCHES,
) -> dict[str, float]:
    """Mean losses (the first turn's is "loss") and metrics over at most `most_batches` evenly spread batches."""
    objective.eval()
    size = config.batch_size
    starts = list(range(0, len(examples), size))
    chosen = starts[:: max(1, -(-len(starts) // most_batches))]
    sums: dict[str, float] = {}
    total = 0.0
    for start in chosen:
        places = [Place(0, index) for index in range(start, min(start + size, len(examples)))]
        batch = to_device(examples.collate([examples[place] for place in places]), device)
        weight = objective.weight(batch)
        total += weight
        for number, turn in enumerate(objective.turns):
            with autocast(device, config.use_amp):
                loss = objective(batch, turn)
            name = "loss" if number == 0 else f"loss {turn.name}"
            for key, value in ({name: float(loss.value)} | loss.metrics).items():
                sums[key] = sums.get(key, 0.0) + value * weight
    return {name: value / total for name, value in sums.items()}


def to_device(batch: Any, device: torch.device) -> Any:
    """Tensors of a batch (a tensor, or a tuple, list or dict of them) on `device`; other things as they are."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: to_device(value, device) for name, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        moved = [to_device(value, device) for value in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
    return batch


def peak_bytes(device: torch.device) -> int:
    """The most memory in use so far: the GPU's tensors, or the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Watch:
    """Means since the last report, and the pace of the run."""

    def __init__(self, began: float, first: int) -> None:
        self.began, self.first = began, first
        self.losses: dict[str, float] = {}
        self.steps, self.units, self.since = 0, 0, began

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def add(self, losses: dict[str, float], units: int) -> None:
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value
        self.steps += 1
        self.units += units

    def read(self, done: int) -> tuple[dict[str, float], float]:
        """Mean losses and units a second since the last reading."""
        now = time.perf_counter()
        means = {name: value / max(1, self.steps) for name, value in self.losses.items()}
        rate = self.units / max(1e-9, now - self.since)
        self.losses, self.steps, self.units, self.since = {}, 0, 0, now
        return means, rate

    def seconds_left(self, done: int, total: int) -> float:
        return self.seconds / max(1, done - self.first) * (total - done)
