"""A Thinker arranged for reading one token at a time, for CPUs.

With one token, the work is to read every weight once; how the weights lie in memory decides the speed. A product with
a matrix (out, in) runs fastest along its longer side, so matrices with more outputs than inputs are kept transposed;
matrices with the same input are laid side by side, to be read in one go; and the weights of each RMSNorm are multiplied
into the matrices behind it. The sums are those of `Thinker.forward`, and a test holds the two equal. B, C, D, H, G:
batch, width, channels of one head, query heads, key-value heads.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from muomni.models.thinker import Thinker
from muomni.nn.attention import attend, shift_tokens
from muomni.nn.block import Block
from muomni.nn.cache import KVCache, LayerCache
from muomni.nn.feed_forward import SwiGLU
from muomni.nn.norm import RMSNorm
from muomni.nn.rotary import Rotation, rotate


class Decoder:
    """A copy of a Thinker's weights, rearranged. Later changes of the Thinker do not reach it."""

    def __init__(self, model: Thinker) -> None:
        self.model = model
        self.layers = [_Layer(block) for block in model.blocks if isinstance(block, Block)]
        self.unit = _Unit(model.norm)
        self.output = _Matrix(model.norm, model.output_weight)  # C -> V

    def __call__(self, ids: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Logits (B, 1, V) after one more token ids (B, 1), which is added to the cache."""
        turn, bias = self.model.place(len(ids), 1, None, None, cache)
        x = F.embedding(ids[:, 0], self.model.embedding.weight)  # (B, C)
        for layer, seen in zip(self.layers, cache.layers, strict=True):
            x = layer.step(x, turn, bias, seen)
        return self.output(self.unit(x)).unsqueeze(1)


class _Unit:
    """What is left of an RMSNorm without its weights: x / rms(x)."""

    def __init__(self, norm: RMSNorm) -> None:
        self.eps = norm.weight.new_tensor(norm.eps)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return x * torch.addcmul(self.eps, length, length, value=1 / x.shape[1]).rsqrt_()


class _Layer:
    """One block: its queries, keys and values in one matrix, its gates and ups in another."""

    def __init__(self, block: Block) -> None:
        self.block, attention = block, block.attention
        self.head_dim, self.use_flash = attention.head_dim, attention.use_flash
        self.token_shift = attention.token_shift
        self.heads, self.kv_heads = (part.out_features // self.head_dim for part in (attention.query, attention.key))
        self.unit = _Unit(block.attention_norm)
        inputs = (attention.query.weight, attention.key.weight, attention.value.weight)
        self.qkv = _Matrix(block.attention_norm, *inputs)  # C -> (H + 2 G) D
        self.output = attention.output.weight.detach().t()
        self.gate_up: _Matrix | None = None  # C -> 2 F
        if isinstance(block.feed_forward, SwiGLU):
            layer = block.feed_forward
            self.gate_up = _Matrix(block.feed_forward_norm, layer.gate.weight, layer.up.weight)
            self.down = layer.down.weight.detach().t()

    def step(self, x: torch.Tensor, turn: Rotation, bias: torch.Tensor | None, seen: LayerCache) -> torch.Tensor:
        """x (B, C) -> (B, C)"""
        heads, kv_heads = self.heads, self.kv_heads
        qkv = self.qkv(self.unit(x)).view(len(x), -1, 1, self.head_dim)  # (B, H + 2 G, 1, D)
        turned = rotate(qkv.narrow(1, 0, heads + kv_heads), turn)
        k, v = turned.narrow(1, heads, kv_heads), qkv.narrow(1, heads + kv_heads, kv_heads)
        if self.token_shift:
            k, v = shift_tokens(k, v, None, seen)
        k, v = seen.append(k, v)
        mixed = attend(turned.narrow(1, 0, heads), k, v, bias=bias, use_flash=self.use_flash)
        x = torch.addmm(x, mixed.reshape(x.shape), self.output)
        if self.gate_up is None:
            return x + self.block.feed_forward(self.block.feed_forward_norm(x))
        gate, up = self.gate_up(self.unit(x)).chunk(2, 1)
        return torch.addmm(x, F.silu(gate).mul_(up), self.down)


class _Matrix:
    """Matrices (out, in) behind a norm as one, the norm's weights included, and cut in as many slices as threads.

    A product with one row runs on one thread; several products, one for each slice, run side by side.
    """

    def __init__(self, norm: RMSNorm, *weights: torch.Tensor) -> None:
        together = torch.cat([weight.detach() for weight in weights])
        n_slices = torch.get_num_threads() if len(together) % torch.get_num_threads() == 0 else 1
        slices = [part.t() for part in together.chunk(n_slices)]
        self.slices = torch.stack(slices).mul_(norm.weight.detach().unsqueeze(1))  # (slices, in, out / slices)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:  # (B, in) -> (B, out)
        outputs = torch.bmm(x.expand(len(self.slices), *x.shape), self.slices)
        return outputs.transpose(0, 1).reshape(len(x), -1)
