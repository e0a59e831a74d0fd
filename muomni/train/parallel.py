"""One process or several under `torchrun`: who this one is, and the few things that all of them do together."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed

from muomni.config import StageConfig
from muomni.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process's place among those that train together (rank 0 of 1: alone)."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that reports and saves."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum of `value` over all processes."""
        if self.world == 1:
            return value
        device = "cuda" if torch.cuda.is_available() else "cpu"
        tensor = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.all_reduce(tensor)
        return float(tensor)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()

    def one_first(self, prepare: Callable[[], T]) -> T:
        """What `prepare` gives: the first process does it before the others, which find its files made."""
        if self.first:
            result = prepare()
            self.wait()
            return result
        self.wait()
        return prepare()

    def synchronising(self, module: Any, now: bool) -> AbstractContextManager[Any]:
        """Exchange gradients in this backward pass, or hold them back until the last micro-batch."""
        return nullcontext() if self.world == 1 or now else module.no_sync()


def join_processes(config: StageConfig) -> Processes:
    """Join the processes that torchrun started, if it did.

    Raises:
        UserError: their number is not the config's `data_parallel`.
    """
    said = os.environ.get("WORLD_SIZE", "1")
    if not said.isdigit():
        raise UserError(f'is "{said}"; allowed is a whole number', field="WORLD_SIZE", fix="Start with torchrun.")
    world = int(said)
    if world != config.data_parallel:
        raise UserError(
            f"is {config.data_parallel}, but {world} process{'es' * (world > 1)} run",
            field="data_parallel",
            fix=f"Start with `torchrun --standalone --nproc-per-node {config.data_parallel} -m muomni.cli train …`, "
            f"or set data_parallel to {world} and plan again, which keeps the effective batch.",
        )
    if world == 1:
        return Processes()
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Processes(distributed.get_rank(), world)
