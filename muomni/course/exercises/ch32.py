"""Chapter 32, the inference pipeline: temperature, the nucleus, time to the first token, keeping up with speech."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType

from muomni.course.checks import alike, exercise


def _softmax(logits: Sequence[float], temperature: float) -> list[float]:
    best = max(logits)
    if temperature == 0:
        return [1.0 if n == list(logits).index(best) else 0.0 for n in range(len(logits))]
    weights = [math.exp((each - best) / temperature) for each in logits]
    return [each / sum(weights) for each in weights]


def _overflowing(logits: Sequence[float], temperature: float) -> list[float]:
    weights = [math.exp(each / (temperature or 1e-2)) for each in logits]
    return [each / sum(weights) for each in weights]


def _times(logits: Sequence[float], temperature: float) -> list[float]:
    return _softmax([each * temperature * temperature for each in logits], temperature) if temperature else []


@exercise(
    "32.1",
    expects=FunctionType,
    right=_softmax,
    wrong=[
        (_overflowing, "OverflowError"),
        (lambda logits, t: _softmax([each * t * t for each in logits], t), "divide"),
        (lambda logits, t: _softmax(logits, 1), "temperature is not used"),
        (lambda logits, t: [each / sum(logits) for each in logits], "exp"),
        (lambda logits, t: _softmax(logits, t or 0.5), "at temperature 0"),
        (lambda logits, t: [2 * p for p in _softmax(logits, t)], "add up"),
    ],
    because="divided by the temperature, then softmax; the largest is taken away first, and 0 is a case of its own.",
)
def with_a_temperature(answer: Callable[[list[float], float], list[float]]) -> str | None:
    for logits, temperature in (([2.0, 1.0, -1.0], 2.0), ([2.0, 1.0, -1.0], 0.5), ([1.0, 3.0, 2.5], 0.0)):
        found, wanted = list(answer(list(logits), temperature)), _softmax(logits, temperature)
        if alike(found, wanted):
            continue
        shown = f"With logits {logits} at temperature {temperature:g} it gives {[round(each, 3) for each in found]}"
        if temperature == 0:
            return f"{shown}: at temperature 0 the likeliest piece has probability 1, all others 0."
        if alike(found, _times(logits, temperature)):
            return f"{shown}: divide by the temperature, do not multiply."
        if alike(found, _softmax(logits, 1)):
            return f"{shown}: the temperature is not used."
        if len(found) == len(logits) and abs(sum(found) - 1) > 1e-6:
            return f"{shown}: probabilities add up to 1."
        return (
            f"{shown}; expected {[round(each, 3) for each in wanted]}: softmax is exp, divided by the sum of all exp."
        )
    large = [1000.0, 999.0]
    found = list(answer(list(large), 0.5))
    return None if alike(found, _softmax(large, 0.5)) else f"With logits {large} it gives {found}."


def _nucleus(probabilities: Sequence[float], top_p: float) -> list[int]:
    kept, together = list[int](), 0.0
    for number in sorted(range(len(probabilities)), key=lambda n: -probabilities[n]):
        kept.append(number)
        together += probabilities[number]
        if together >= top_p:
            break
    return kept


def _stops_short(probabilities: Sequence[float], top_p: float) -> list[int]:
    kept = list[int]()
    for number in sorted(range(len(probabilities)), key=lambda n: -probabilities[n]):
        if sum(probabilities[n] for n in kept) + probabilities[number] > top_p:
            break
        kept.append(number)
    return kept


@exercise(
    "32.2",
    expects=FunctionType,
    right=_nucleus,
    wrong=[
        (_stops_short, "reach"),
        (lambda p, top: [n for n in range(len(p)) if p[n] >= 1 - top], "sum"),
        (lambda p, top: sorted(_nucleus(p, top)), "likeliest first"),
        (lambda p, top: [p[n] for n in _nucleus(p, top)], "numbers"),
        (lambda p, top: _nucleus([1 - each for each in p], top), "expected"),
        (lambda p, top: list(range(len(p))), "too many"),
    ],
    because="the tail is cut off where it begins, however many pieces come before it.",
)
def kept_by_top_p(answer: Callable[[list[float], float], list[int]]) -> str | None:
    spread = [0.1, 0.4, 0.2, 0.05, 0.25]
    for probabilities, top_p in ((spread, 0.5), (spread, 0.9), ([0.1, 0.8, 0.1], 0.5)):
        found, wanted = list(answer(list(probabilities), top_p)), _nucleus(probabilities, top_p)
        if found == wanted:
            continue
        shown = f"Of {probabilities} with top_p {top_p:g} it keeps {found}"
        if found == [probabilities[n] for n in wanted]:
            return f"{shown}: the numbers of the pieces are wanted, not their probabilities."
        if sorted(found) == sorted(wanted):
            return f"{shown}: the right ones, but not likeliest first."
        if found == _stops_short(probabilities, top_p):
            return f"{shown}: the piece that makes the sum reach top_p is kept, too."
        if sorted(found) == list(range(len(probabilities))):
            return f"{shown}: too many; stop as soon as their sum is top_p."
        return f"{shown}; expected {wanted}: it is their sum that counts, from the likeliest on."
    return None


def _waiting(prompt: int, new: int, prefill_ms: float, step_ms: float) -> tuple[float, float]:
    return prompt * prefill_ms, prompt * prefill_ms + (new - 1) * step_ms


@exercise(
    "32.3",
    expects=FunctionType,
    right=_waiting,
    wrong=[
        (lambda p, n, a, b: (p * a + b, p * a + n * b), "comes out of the prefill"),
        (lambda p, n, a, b: (p * a, p * a + n * b), "one step too many"),
        (lambda p, n, a, b: (p * b, p * b + (n - 1) * b), "prefill_ms"),
        (lambda p, n, a, b: (p * a, (n - 1) * b), "from the beginning"),
        (lambda p, n, a, b: p * a, "pair"),
        (lambda p, n, a, b: (1.0, 2.0), "expected"),
    ],
    because="the prompt decides how long one waits, the answer how long it goes on.",
)
def time_of_an_answer(answer: Callable[[int, int, float, float], tuple[float, float]]) -> str | None:
    case = (100, 20, 0.5, 3.0)
    prompt, new, prefill_ms, step_ms = case
    found = answer(*case)
    if not isinstance(found, Sequence) or len(found) != 2:
        return "A pair is wanted: until the first token, and until the last."
    wanted = _waiting(*case)
    if alike(found, wanted):
        return None if alike(answer(7, 1, 1.0, 9.0), (7.0, 7.0)) else "With one new token, first and last are the same."
    first = prompt * prefill_ms
    mistakes = (
        ((first + step_ms, first + new * step_ms), "the first token comes out of the prefill, without a step."),
        ((first, first + new * step_ms), "it is one step too many: the last token is written, but not read."),
        ((prompt * step_ms, (prompt + new - 1) * step_ms), "a token of the prompt takes prefill_ms."),
        ((first, (new - 1) * step_ms), "the last is to be counted from the beginning, prefill included."),
    )
    named = [words for value, words in mistakes if alike(found, value)]
    return f"waiting{case} gives {tuple(found)}: {named[0] if named else f'expected {wanted}.'}"


def _silence(chunk: float, rtf: float, n: int) -> float:
    return max(0.0, (n - 1) * chunk * (rtf - 1))


@exercise(
    "32.4",
    expects=FunctionType,
    right=_silence,
    wrong=[
        (lambda c, r, n: (n - 1) * c * (r - 1), "negative"),
        (lambda c, r, n: max(0.0, n * c * (r - 1)), "before the first"),
        (lambda c, r, n: (n - 1) * c * r, "while"),
        (lambda c, r, n: max(0.0, (n - 1) * (r - 1)), "chunk"),
        (lambda c, r, n: 0.25, "expected"),
    ],
    because="above 1, every chunk comes later than the one before it ends; below, the maker is ahead of the player.",
)
def silence_between_chunks(answer: Callable[[float, float, int], float]) -> str | None:
    for case in ((0.5, 1.4, 11), (0.5, 0.6, 11), (2.0, 1.0, 4)):
        chunk, rtf, n = case
        found, wanted = answer(*case), _silence(*case)
        if abs(found - wanted) < 1e-9:
            continue
        if found < 0:
            return f"silence{case} gives {found:g}: no silence is negative; who is ahead waits."
        mistakes = (
            (n * chunk * (rtf - 1), "the time before the first chunk is no silence between chunks."),
            ((n - 1) * chunk * rtf, "while one chunk is played, the next is being made: only the rest is silence."),
            ((n - 1) * (rtf - 1), "a chunk lasts `chunk` seconds."),
        )
        named = [words for value, words in mistakes if abs(found - value) < 1e-9]
        return f"silence{case} gives {found:g}: {named[0] if named else f'expected {wanted:g}.'}"
    return None
