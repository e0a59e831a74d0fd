"""Rules over several settings of one config: what must divide, fit or come first.

A rule names the settings it reads; where one of them is itself wrong, the rule keeps quiet, so that a file's problems
are told once each and all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

Values = Mapping[str, Any]
Verdict = str | None
LARGEST_BATCH = 65_536  # so that any split of the effective batch into B x A is itself a valid config
RULES: list[tuple[str, tuple[str, ...], Callable[..., Verdict]]] = []


def rule(field: str, *others: str) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Register a rule: its problem is reported at `field`, and it is called with the values of `field` and `others`."""

    def register(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
        RULES.append((field, (field, *others), check))
        return check

    return register


def broken_rules(values: Values) -> Iterator[tuple[str, str]]:
    """(field, problem) for every rule that `values` breaks; rules whose settings are not all there do not apply."""
    for field, names, check in RULES:
        if all(name in values for name in names):
            problem = check(*(values[name] for name in names))
            if problem:
                yield field, problem


def _heads_divide(width: str, heads: str) -> None:
    @rule(heads, width)
    def _divides(n_heads: int, d_model: int) -> Verdict:
        if d_model % n_heads:
            near = [n for n in range(1, 129) if d_model % n == 0 and (d_model // n) % 2 == 0]
            return f"is {n_heads}, which does not divide {width} {d_model}; it divides by {_listed(near)}"
        if (d_model // n_heads) % 2:
            return f"is {n_heads}, which leaves {d_model // n_heads} a head; rotary positions need an even width a head"
        return None


for _prefix in ("", "audio_", "vision_", "text_", "decoder_"):
    _heads_divide(f"{_prefix}d_model", f"{_prefix}heads" if _prefix else "n_heads")


@rule("n_kv_heads", "n_heads")
def _kv_groups(n_kv_heads: int, n_heads: int) -> Verdict:
    if n_heads % n_kv_heads:
        return f"is {n_kv_heads}, which does not divide n_heads {n_heads}; it may be {_listed(_divisors(n_heads))}"
    return None


@rule("n_kv_heads", "token_shift")
def _halves(n_kv_heads: int, token_shift: bool) -> Verdict:
    if token_shift and n_kv_heads < 2:
        return f"is {n_kv_heads}, which has no halves for token_shift; 2 or more, or set token_shift to false"
    return None


@rule("experts_per_token", "n_experts")
def _experts(experts_per_token: int, n_experts: int) -> Verdict:
    if 0 < n_experts < experts_per_token:
        return f"is {experts_per_token}, more than n_experts {n_experts}; at most {n_experts}"
    return None


@rule("gradient_accumulation_steps", "batch_size")
def _effective_batch(accumulation: int, batch_size: int) -> Verdict:
    if accumulation * batch_size > LARGEST_BATCH:
        return f"is {accumulation}; times batch_size {batch_size} it may be at most {LARGEST_BATCH} examples a step"
    return None


@rule("warmup_steps", "max_steps")
def _warmup(warmup_steps: int, max_steps: int) -> Verdict:
    if warmup_steps > max_steps:
        return f"is {warmup_steps}, longer than the run: max_steps is {max_steps}"
    return None


@rule("patch", "img_size")
def _patches(patch: int, img_size: int) -> Verdict:
    if img_size % patch:
        return f"is {patch}, which does not divide img_size {img_size}; it may be {_listed(_divisors(img_size))}"
    return None


@rule("hop_length", "n_fft")
def _hop(hop_length: int, n_fft: int) -> Verdict:
    if hop_length > n_fft:
        return f"is {hop_length}, longer than the window n_fft {n_fft}: sound between windows would be lost"
    return None


@rule("hop_length", "n_fft", "head")
def _whole_hops(hop_length: int, n_fft: int, head: str) -> Verdict:
    if head == "istft" and n_fft % hop_length:
        return f"is {hop_length}, which does not divide n_fft {n_fft}: the inverse STFT adds up whole hops"
    return None


@rule("n_mels", "n_fft")
def _mels(n_mels: int, n_fft: int) -> Verdict:
    if n_mels > n_fft // 2:
        return f"is {n_mels}, more bands than n_fft {n_fft} has frequencies; at most {n_fft // 2}"
    return None


@rule("max_audio_length", "hop_length", "n_fft")
def _excerpt(max_audio_length: int, hop_length: int, n_fft: int) -> Verdict:
    if max_audio_length % hop_length:
        return f"is {max_audio_length}, which is no multiple of hop_length {hop_length}"
    if max_audio_length < n_fft:
        return f"is {max_audio_length}, shorter than one window: n_fft is {n_fft}"
    return None


@rule("ctx_len", "img_size", "patch")
def _picture_fits(ctx_len: int, img_size: int, patch: int) -> Verdict:
    tokens = (img_size // patch) ** 2
    if tokens >= ctx_len:
        return f"is {ctx_len}, but a picture alone takes {tokens} tokens (img_size {img_size}, patch {patch})"
    return None


@rule("ctx_len", "max_audio_seconds", "sample_rate", "hop_length", "downsample")
def _sound_fits(ctx_len: int, seconds: float, sample_rate: int, hop_length: int, downsample: int) -> Verdict:
    tokens = int(seconds * sample_rate / hop_length / downsample)
    if tokens >= ctx_len:
        return f"is {ctx_len}, but a clip of max_audio_seconds {seconds:g} takes {tokens} tokens"
    return None


@rule("sft_mix")
def _weights(sft_mix: Mapping[str, float]) -> Verdict:
    if not all(weight >= 0 and isfinite(weight) for weight in sft_mix.values()) or not any(sft_mix.values()):
        return f"is {dict(sft_mix)}; weights are 0 or more, at least one above 0"
    return None


def _names_a_file(field: str) -> None:
    @rule(field)
    def _path(path: str) -> Verdict:
        if not path.strip() or "\0" in path:
            return f"is {path!r}, which names no file or folder"
        return None


for _field in (
    "save_dir",
    "tokenizer",
    "train_text",
    "train_manifest",
    "image_root",
    "train_csv",
    "tts_csv",
    "ocr_csv",
    "thinker",
    "audio_enc",
    "aligner",
    "vision",
):
    _names_a_file(_field)


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, min(number, 129) + 1) if number % n == 0]


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
