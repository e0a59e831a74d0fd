"""One optimizer step: gradients of every turn added up over the micro-batches, clipped, applied.

Losses and lengths stay tensors here: nothing is read from the device. So the very same code runs under fake tensors,
where `muomni.train.memory_trace` counts its bytes without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from muomni.train.objective import Objective, Turn
from muomni.train.optimizer import MUON, make_optimizers
from muomni.train.parallel import Processes
from muomni.train.precision import autocast

Check = Callable[[Turn, torch.Tensor, torch.Tensor], None]


class Stepper:
    """The optimizers of an objective and the step they take.

    Args:
        objective: the model with its losses, on its device.
        module: what is called for the loss: the objective, compiled or wrapped for several processes.
    """

    def __init__(self, objective: Objective, module: Any, device: torch.device, processes: Processes) -> None:
        self.objective, self.module = objective, module
        self.config = objective.config
        self.device, self.processes = device, processes
        kind = getattr(self.config, "optimizer", "adamw")
        self.optimizers = {
            turn.name + suffix: optimizer
            for turn in objective.turns
            for suffix, optimizer in make_optimizers(
                turn.named_parameters(objective.model), turn.lr, self.config.wd, turn.betas, kind
            ).items()
        }

    def step(self, micro: Sequence[Any], shares: Sequence[float], rate: Callable[[Turn], float], check: Check) -> None:
        """Let every turn learn from the micro-batches.

        Args:
            micro: the step's micro-batches, on the device.
            shares: what each counts for; they sum to 1 over all processes.
            rate: the learning rate of a turn.
            check: sees (turn, this process's part of the mean loss, gradient's length) before the turn is applied,
                and raises to prevent it.
        """
        for turn in self.objective.turns:
            loss = self._accumulate(turn, micro, shares)
            check(turn, loss, self._clipped_norm(turn))
            for name in (turn.name, turn.name + MUON):
                if (optimizer := self.optimizers.get(name)) is not None:
                    for group in optimizer.param_groups:
                        group["lr"] = rate(turn)
                    optimizer.step()
            self.objective.zero_grad(set_to_none=True)

    def _accumulate(self, turn: Turn, micro: Sequence[Any], shares: Sequence[float]) -> torch.Tensor:
        value = torch.zeros((), device=self.device)
        for number, (batch, share) in enumerate(zip(micro, shares, strict=True), start=1):
            with self.processes.synchronising(self.module, number == len(micro)):
                with autocast(self.device, self.config.use_amp):
                    loss = self.module(batch, turn).value
                # DistributedDataParallel averages over the processes, where a sum is wanted
                (loss * (share * self.processes.world)).backward()
            value += loss.detach() * share
        return value

    def _clipped_norm(self, turn: Turn) -> torch.Tensor:
        limit = self.config.max_grad_norm or float("inf")
        return torch.nn.utils.clip_grad_norm_(turn.parameters(self.objective.model), limit)
