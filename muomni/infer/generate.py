"""Writing with a Thinker, token by token, through the KV cache.

From the logits to a token, in this order: tokens already seen are made less likely (repetition penalty, Keskar et al.
2019), the logits are divided by the temperature, all but the `top_k` likeliest are dropped (Fan et al. 2018), then all
but the likeliest that together have the probability `top_p` (nucleus sampling, Holtzman et al. 2019); one of the rest
is drawn. At temperature 0 the likeliest is taken (greedy). B, T, V: batch, time, vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from muomni.errors import BAD_USAGE, UserError
from muomni.infer.decoder import Decoder
from muomni.models.thinker import Thinker
from muomni.nn.cache import KVCache

SHORT = 8
"""For answers of up to this many tokens, rearranging the weights costs more than it saves."""


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen from the logits.

    Args:
        temperature: 0 takes the likeliest token; 1 draws from the model's own probabilities.
        top_k: draw from this many likeliest tokens; None from all.
        top_p: draw from the likeliest tokens that together have this probability; None from all.
        repetition_penalty: above 1, tokens already in the text become less likely.

    Raises:
        UserError: a value is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        _require(0 <= self.temperature < float("inf"), "temperature", self.temperature, "a number from 0 up")
        _require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "a whole number from 1 up, or none")
        _require(self.top_p is None or 0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1, or none")
        _require(
            0 < self.repetition_penalty < float("inf"),
            "repetition_penalty",
            self.repetition_penalty,
            "above 0 (1 changes nothing)",
        )

    def choose(
        self, logits: torch.Tensor, seen: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """One token (B,) for every row of logits (B, V); seen (B, V) is True for tokens that are in the text."""
        if seen is not None and self.repetition_penalty != 1.0:
            unlikelier = torch.where(logits > 0, logits / self.repetition_penalty, logits * self.repetition_penalty)
            logits = torch.where(seen, unlikelier, logits)
        if self.temperature == 0:
            return logits.argmax(-1)
        below_best = logits.float() - logits.amax(-1, keepdim=True)  # else a small temperature overflows
        probabilities = self._keep_likeliest(below_best / self.temperature).softmax(-1)
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)

    def _keep_likeliest(self, logits: torch.Tensor) -> torch.Tensor:
        """Minus infinity for the tokens that top_k and top_p leave out."""
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            kept = torch.full_like(logits, float("-inf"))
            best = logits.topk(self.top_k, -1)  # exactly k, ties included
            logits = kept.scatter(-1, best.indices, best.values)
        if self.top_p is not None and self.top_p < 1:
            ordered, order = logits.sort(-1, descending=True)
            probabilities = ordered.softmax(-1)
            # a token stays if those before it have not reached top_p yet: the first one always does
            left_out = probabilities.cumsum(-1) - probabilities >= self.top_p
            logits = logits.scatter(-1, order, ordered.masked_fill(left_out, float("-inf")))
        return logits


def generate(
    model: Thinker,
    prompt: Sequence[int] | torch.Tensor,
    *,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    eot_id: int | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    cache: KVCache | None = None,
    positions: torch.Tensor | None = None,
) -> Iterator[int]:
    """Write on from one prompt, yielding every token as soon as it is chosen.

    It ends before `eot_id`, which is not yielded, after `max_new_tokens`, or when the context is full: prompt and
    answer share ctx_len tokens.

    Args:
        prompt: token ids (T,), or embeddings (T, C) where pictures or sound stand among the words.
        seed: makes the draws reproducible; or give a `generator` of your own.
        cache: what the conversation holds so far; the prompt follows it. Afterwards it also holds the prompt and the
            tokens yielded, but for the last one. The repetition penalty counts what this call reads and writes.
        positions: (T,) of the prompt's tokens, where they are not simply counted; what is written counts on from the
            last. Only for a new cache.

    Raises:
        UserError: an argument is out of range, or the prompt does not fit. Raised at once, before the first token.
    """
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
    inputs = prompt if isinstance(prompt, torch.Tensor) else torch.tensor(list(prompt), dtype=torch.long)
    shape, wanted = tuple(inputs.shape), 2 if inputs.is_floating_point() else 1
    _require(len(shape) == wanted, "prompt", f"of shape {shape}", "ids (T,) or embeddings (T, C) of one text")
    draws = _generator(model, seed, generator)
    return _stream(_Writer(model, inputs.unsqueeze(0), None, max_new_tokens, sampling, draws, cache, positions), eot_id)


def generate_batch(
    model: Thinker,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    eot_id: int | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Write on from several prompts of any lengths at once; arguments, end and errors as in `generate`.

    Shorter prompts are padded on their left, which changes nothing about what is written. The context is full as soon
    as it is for the longest prompt.
    """
    _require(len(prompts) > 0 and all(len(p) > 0 for p in prompts), "prompts", "empty", "at least one token each")
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    real = torch.zeros(len(prompts), longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(list(prompt))
        real[row, longest - len(prompt) :] = True
    mask = None if bool(real.all()) else real
    draws = _generator(model, seed, generator)
    writer = _Writer(model, ids, mask, max_new_tokens, sampling, draws)
    written: list[list[int]] = [[] for _ in prompts]
    writing = set(range(len(prompts)))
    while writing and (tokens := writer.next()) is not None:
        for row, token in enumerate(tokens.tolist()):
            if token == eot_id:
                writing.discard(row)
            elif row in writing:
                written[row].append(token)
    return written


def _stream(writer: _Writer, eot_id: int | None) -> Iterator[int]:
    while (tokens := writer.next()) is not None:
        token = int(tokens)
        if token == eot_id:
            return
        yield token


class _Writer:
    """The state of one generation: what goes into the model next, and how much room is left."""

    def __init__(
        self,
        model: Thinker,
        inputs: torch.Tensor,
        mask: torch.Tensor | None,
        max_new_tokens: int,
        sampling: Sampling,
        generator: torch.Generator | None,
        cache: KVCache | None = None,
        positions: torch.Tensor | None = None,
    ) -> None:
        _require(max_new_tokens >= 1, "max_new_tokens", max_new_tokens, "a whole number from 1 up")
        self.model, self.sampling, self.generator = model, sampling, generator
        device = model.output_weight.device
        self.inputs = inputs.to(device)
        self.mask = None if mask is None else mask.to(device)
        self._check_ids()
        room = self._room(cache)
        self.left = min(max_new_tokens, room + 1)  # the last token is written, but not read
        self.cache = model.new_cache(inputs.shape[1] + self.left - 1) if cache is None else cache
        self.positions = None if positions is None else positions.to(device)[None]
        if self.positions is not None:
            self.cache.shift = int(self.positions[0, -1]) + 1 - inputs.shape[1]
        self.seen = self._seen() if sampling.repetition_penalty != 1.0 else None
        self.decoder: Decoder | None = None

    def _check_ids(self) -> None:
        _require(self.inputs.shape[1] > 0, "prompt", "empty", "at least one token")
        if not self.inputs.is_floating_point():
            limit = self.model.config.vocab_size
            strange = self.inputs[(self.inputs < 0) | (self.inputs >= limit)].tolist()
            _require(not strange, "prompt", f"with the token {strange[:1]}", f"tokens 0 to {limit - 1}")

    def _room(self, cache: KVCache | None) -> int:
        """How many tokens can be read after the prompt."""
        limit = self.model.config.ctx_len if cache is None else cache.max_len
        needed = self.inputs.shape[1] + (0 if cache is None else cache.length)
        if needed > limit:
            raise UserError(
                f"does not fit: {needed} tokens, where the context has room for {limit}",
                field="prompt",
                fix="Shorten it, or use a model with a longer ctx_len.",
                exit_code=BAD_USAGE,
            )
        return limit - needed

    def _seen(self) -> torch.Tensor:
        """(B, V), True for the tokens of each row's prompt. Embeddings count as none, and so does padding."""
        seen = torch.zeros(len(self.inputs), self.model.config.vocab_size, dtype=torch.bool, device=self.inputs.device)
        if not self.inputs.is_floating_point():
            for row, ids in enumerate(self.inputs):
                seen[row, ids if self.mask is None else ids[self.mask[row]]] = True
        return seen

    @torch.inference_mode()
    def next(self) -> torch.Tensor | None:
        """The next token of every row (B,), or None when the answer is as long as it may be."""
        if self.left == 0:
            return None
        self.left -= 1
        tokens = self.sampling.choose(self._logits()[:, -1], self.seen, self.generator)
        if self.seen is not None:
            self.seen.scatter_(1, tokens[:, None], True)
        self.inputs, self.mask, self.positions = tokens[:, None], None, None
        return tokens

    def _logits(self) -> torch.Tensor:
        """(B, 1, V), without dropout."""
        if self.decoder is not None:
            return self.decoder(self.inputs, self.cache)
        if self.left >= SHORT and self.inputs.device.type == "cpu":
            self.decoder = Decoder(self.model)  # for the tokens after the prompt
        training = self.model.training
        self.model.eval()
        logits = self.model(self.inputs, positions=self.positions, mask=self.mask, cache=self.cache, last_only=True)
        self.model.train(training)
        return logits


def _generator(model: Thinker, seed: int | None, generator: torch.Generator | None) -> torch.Generator | None:
    if seed is None:
        return generator
    return torch.Generator(model.output_weight.device).manual_seed(seed)


def _require(holds: bool, field: str, found: object, allowed: str) -> None:
    if not holds:
        raise UserError(f"is {found}; allowed: {allowed}", field=field, exit_code=BAD_USAGE)
