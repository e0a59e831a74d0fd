"""Exact peak memory of a training step, counted without a GPU and without the memory.

The stage's real step (its model, loss, clipping and optimizer) runs on fake tensors, which have shapes and no data,
while a dispatch mode counts the bytes of every live storage, each rounded up to the 512-byte blocks of CUDA's
allocator. What is counted is what a GPU would hold; two of its habits are put in place of the CPU's:

- dropout keeps a 1-byte mask (`torch.native_dropout`);
- fused attention keeps its output and one log-sum-exp a row, not the T x T matrix.

The first step makes the optimizer's state; the second, with everything in place, is the one that is counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from muomni.config import StageConfig, ThinkerConfig
from muomni.plan import Memory
from muomni.train.objective import Objective
from muomni.train.parallel import Processes
from muomni.train.step import Stepper
from muomni.train.thinker import ThinkerObjective

BLOCK = 512


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that operators make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: dict[int, int] = {}

    def watch(self, tensor: torch.Tensor) -> None:
        """Count a storage until it is freed; one already counted is not counted twice."""
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._known:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self._known[key] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.live -= self._known.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, torch.Tensor):
                self.watch(value)
        return out


def held(tensors: Iterator[torch.Tensor]) -> int:
    """Bytes of tensors in whole blocks."""
    return sum(-(-t.untyped_storage().nbytes() // BLOCK) * BLOCK for t in {id(t): t for t in tensors}.values())


class _FusedAttention(torch.autograd.Function):
    """The storages of CUDA's fused attention: q, k, v, a mask, the output and a log-sum-exp are kept for backward."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        out = torch.empty_like(q)
        sums = q.new_empty(q.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(q, k, v, out, sums, mask)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        q, k, v, _, sums, _ = ctx.saved_tensors
        delta = torch.empty_like(sums)
        grads = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        del delta
        return (*grads, None)


def _as_on_gpu(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    if enable_gqa and (q.dtype == torch.float32 or attn_mask is not None):
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))  # as muomni.nn.attention on a GPU
    out: torch.Tensor = _FusedAttention.apply(q, k, v, attn_mask)
    return out


def _gpu_kernel(*_: Any, use_flash: bool = True, **__: Any) -> str:
    return "fused" if use_flash else "blocks"


def _dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    return torch.native_dropout(x, p, True)[0] if training and p > 0 else x


@contextmanager
def gpu_habits() -> Iterator[None]:
    """Within the block, operators keep for backward what they keep on a GPU with bf16."""
    with (
        mock.patch.object(F, "scaled_dot_product_attention", _as_on_gpu),
        mock.patch.object(F, "dropout", _dropout),
        mock.patch("muomni.nn.attention.choose_kernel", _gpu_kernel),
        mock.patch("muomni.train.precision.computes_bf16", lambda device: True),
    ):
        yield


def thinker_batch(config: StageConfig, batch_size: int) -> Any:
    """A fake batch of stage A."""
    assert isinstance(config, ThinkerConfig)
    rows = torch.zeros(batch_size, config.ctx_len, dtype=torch.int64)
    return rows, rows.clone()


STEPS: dict[str, tuple[Callable[[Any], Objective], Callable[[StageConfig, int], Any]]] = {
    "thinker": (ThinkerObjective, thinker_batch),
}
"""For each stage that can be traced: how its objective and one micro-batch are made."""


def trace(config: StageConfig, batch_size: int | None = None, accumulates: bool | None = None) -> Memory:
    """Exact bytes at the peak of one training step on a GPU.

    Args:
        config: the stage's settings.
        batch_size: the micro-batch; the config's where None.
        accumulates: whether more than one micro-batch makes a step; as the config says where None.
    """
    batch_size = config.batch_size if batch_size is None else batch_size
    accumulates = config.gradient_accumulation_steps > 1 if accumulates is None else accumulates
    make_objective, make_batch = STEPS[config.stage_name]
    with FakeTensorMode(), gpu_habits(), LiveBytes() as bytes_:
        objective = make_objective(config)
        stepper = Stepper(objective, objective, torch.device("cpu"), Processes())
        micro = [make_batch(config, batch_size) for _ in range(2 if accumulates else 1)]
        gradients = 0

        def check(*_: Any) -> None:
            nonlocal gradients
            gradients = held(p.grad for p in objective.parameters() if p.grad is not None)

        for _ in range(2):
            bytes_.peak = bytes_.live
            stepper.step(micro, [1.0 / len(micro)] * len(micro), lambda turn: turn.lr, check)
        parameters = held(iter(objective.state_dict(keep_vars=True).values()))
        optimizer = held(
            value for o in stepper.optimizers.values() for state in o.state.values() for value in state.values()
        )
    rest = bytes_.peak - parameters - optimizer - gradients
    activations = max(0, rest)
    return Memory(parameters, gradients, optimizer, activations, rest - activations)
