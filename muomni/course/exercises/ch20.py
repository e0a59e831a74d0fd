"""Chapter 20, the Thinker: its size, the order of a block, the work for one token."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from muomni.course.checks import exercise

Function = Callable[[float], float]


def _size(vocab: int, width: int, layers: int, heads: int, kv_heads: int, inner: int) -> int:
    attention = 2 * width * width + 2 * width * kv_heads * (width // heads)
    return 2 * vocab * width + layers * (attention + 3 * width * inner + 2 * width) + width


@exercise(
    "20.1",
    expects=FunctionType,
    right=_size,
    wrong=[
        (lambda v, c, n, h, g, f: _size(v, c, n, h, g, f) - v * c, "output"),
        (lambda v, c, n, h, g, f: _size(v, c, n, h, h, f), "kv_heads"),
        (lambda v, c, n, h, g, f: _size(v, c, n, h, g, f) - n * c * f, "three"),
        (lambda v, c, n, h, g, f: _size(v, c, n, h, g, f) - c, "last norm"),
        (lambda v, c, n, h, g, f: _size(v, c, n, h, g, f) - 2 * n * c - c, "norms"),
        (lambda v, c, n, h, g, f: _size(v, c, 1, h, g, f), "every block"),
        (lambda v, c, n, h, g, f: 1000, "expected"),
    ],
    because="two tables, and in each block four matrices of attention, three of SwiGLU and two norms.",
)
def size_of_a_thinker(answer: Callable[..., int]) -> str | None:
    for case in ((512, 128, 3, 4, 2, 384), (1000, 96, 5, 6, 2, 200)):
        vocab, width, layers, heads, kv_heads, inner = case
        found, wanted = answer(*case), _size(*case)
        if found == wanted:
            continue
        mistakes = {
            wanted - vocab * width: "the output has a table of its own, since it is not tied.",
            _size(vocab, width, layers, heads, heads, inner): "keys and values have kv_heads heads, not all of them.",
            wanted - layers * width * inner: "SwiGLU has three matrices: gate, up and down.",
            wanted - width: "the last norm, behind all blocks, is missing.",
            wanted - (2 * layers + 1) * width: "the norms are missing: two in each block and one at the end.",
            _size(vocab, width, 1, heads, kv_heads, inner): "every block has its own matrices and norms.",
        }
        return f"size{case} gives {found:,}: {mistakes.get(found, f'expected is {wanted:,}.')}"
    return None


def _block(x: float, norm_1: Function, attention: Function, norm_2: Function, feed_forward: Function) -> float:
    x = x + attention(norm_1(x))
    return x + feed_forward(norm_2(x))


def _post_norm(x: float, norm_1: Function, attention: Function, norm_2: Function, feed_forward: Function) -> float:
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


def _side_by_side(x: float, norm_1: Function, attention: Function, norm_2: Function, feed_forward: Function) -> float:
    return x + attention(norm_1(x)) + feed_forward(norm_2(x))


def _overwritten(x: float, norm_1: Function, attention: Function, norm_2: Function, feed_forward: Function) -> float:
    return feed_forward(norm_2(attention(norm_1(x))))


def _normed_stream(x: float, norm_1: Function, attention: Function, norm_2: Function, feed_forward: Function) -> float:
    x = norm_1(x)
    x = x + attention(x)
    x = norm_2(x)
    return x + feed_forward(x)


@exercise(
    "20.2",
    expects=FunctionType,
    right=_block,
    wrong=[
        (_post_norm, "before a branch"),
        (_side_by_side, "after attention"),
        (_overwritten, "never overwritten"),
        (_normed_stream, "copy"),
        (lambda x, n, a, m, f: _block(x, m, a, n, f), "swapped"),
        (lambda x, n, a, m, f: x + a(n(x)), "expected"),
    ],
    because="x + attention(norm(x)), then x + feed_forward(norm(x)): nothing in the stream is lost.",
)
def order_of_a_block(answer: Callable[..., float]) -> str | None:
    def norm_1(x: float) -> float:
        return x / 2

    def norm_2(x: float) -> float:
        return x / 5

    def attention(x: float) -> float:
        return 3 * x + 1

    def feed_forward(x: float) -> float:
        return 7 * x * x

    parts = (norm_1, attention, norm_2, feed_forward)
    for x in (10.0, 3.0):
        found, wanted = answer(x, *parts), _block(x, *parts)
        if abs(found - wanted) < 1e-9:
            continue
        mistakes = (
            (_post_norm(x, *parts), "the norms belong before a branch, not behind the sum."),
            (_side_by_side(x, *parts), "the feed-forward layer reads the stream after attention was added."),
            (_overwritten(x, *parts), "the stream is added to, never overwritten."),
            (_normed_stream(x, *parts), "only the branch reads the normed copy; the stream itself stays as it is."),
            (_block(x, norm_2, attention, norm_1, feed_forward), "the two norms are swapped."),
        )
        named = [words for value, words in mistakes if abs(found - value) < 1e-9]
        shown = f"With the test's functions, x = {x:g} gives {found:g}"
        return f"{shown}: {named[0]}" if named else f"{shown}; expected is {wanted:g}."
    return None


def _work(width: int, layers: int, kv_width: int, inner: int, vocab: int, before: int) -> int:
    matrices = 2 * width * width + 2 * width * kv_width + 3 * width * inner
    return layers * (matrices + 2 * width * (before + 1)) + vocab * width


@exercise(
    "20.3",
    expects=FunctionType,
    right=_work,
    wrong=[
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, b) - v * c, "output matrix"),
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, b) + v * c, "looked up"),
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, b - 1), "itself"),
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, -1), "keys"),
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, b) - n * c * (b + 1), "values"),
        (lambda c, n, g, f, v, b: _work(c, n, g, f, v, b) + 2 * n * (g - c) * (b + 1), "every query head"),
        (lambda c, n, g, f, v, b: 5, "expected"),
    ],
    because="matrices take the same for every token; attention takes more with each token before it.",
)
def work_for_one_token(answer: Callable[..., int]) -> str | None:
    for case in ((128, 3, 32, 384, 512, 99), (96, 5, 32, 200, 1000, 10)):
        width, layers, kv_width, _, vocab, before = case
        found, wanted = answer(*case), _work(*case)
        if found == wanted:
            continue
        keys = layers * width * (before + 1)
        mistakes = {
            wanted - vocab * width: "the output matrix is multiplied, too.",
            wanted + vocab * width: "the embedding is looked up, not multiplied.",
            wanted - 2 * layers * width: "a token looks at itself, too: before + 1 keys.",
            wanted - 2 * keys: "the products with keys, and the mix of values, are missing.",
            wanted - keys: "scores are one half; the values are mixed, too.",
            wanted + 2 * layers * (kv_width - width) * (before + 1): (
                "every query head makes its own scores, shared keys or not: width, not kv_width."
            ),
        }
        return f"multiplications{case} gives {found:,}: {mistakes.get(found, f'expected is {wanted:,}.')}"
    return None
