"""Chapter 10, sound to mel: frames of a sentence, frames a second, the bin of a frequency."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from muomni.course.checks import exercise


@exercise(
    "10.1",
    expects=int,
    right=157,
    wrong=[(156, "sample 0"), (153, "centered"), (160, "Divide"), (40_000, "Divide")],
    because="156 hops fit, and the frame at sample 0 comes on top.",
)
def frames_of_a_sentence(answer: int) -> str | None:
    known = {
        156: "That is how many hops fit; the frame at sample 0 comes on top.",
        153: "That is the count without padding; centered frames also look beyond both ends.",
    }
    return None if answer == 157 else known.get(answer, "Divide the samples by the hop, and think of the first frame.")


@exercise(
    "10.2",
    expects=tuple,
    right=(8, 80),
    wrong=[((3, 80), "factor in all"), ((8, 12.5), "frames a second"), ((8, 10), "mel frame"), ((8,), "pair")],
    because="100 / 8 = 12.5 frames a second, and 1,000 / 12.5 = 80 milliseconds.",
)
def down_to_12_5(answer: tuple[float, ...]) -> str | None:
    if len(answer) != 2:
        return "Answer with a pair: (factor, milliseconds)."
    factor, milliseconds = answer
    if factor == 3:
        return "Three halvings it is; asked is the factor in all."
    if factor != 8:
        return f"{factor:g} would leave {100 / factor:g} frames a second." if factor else "Not by nothing."
    known = {
        12.5: "12.5 is the number of frames a second; how long is one?",
        10: "10 ms is the length of a mel frame; the encoder's frame stands for eight of them.",
    }
    return None if milliseconds == 80 else known.get(milliseconds, "Divide 1,000 ms by the frames a second.")


def _bin(hertz: float, n_fft: int, rate: int) -> int:
    return round(hertz * n_fft / rate)


@exercise(
    "10.3",
    expects=FunctionType,
    right=_bin,
    wrong=[
        (lambda hertz, n_fft, rate: int(hertz * n_fft / rate), "nearest"),
        (lambda hertz, n_fft, rate: hertz * n_fft / rate, "whole number"),
        (lambda hertz, n_fft, rate: round(hertz * n_fft / rate * 2), "twice"),
        (lambda hertz, n_fft, rate: round(hertz / n_fft), "expected"),
    ],
    because="A wave that fits k times into the window is entry k.",
)
def bin_found(answer: Callable[[float, int, int], object]) -> str | None:
    for hertz, n_fft, rate in ((0, 1024, 16_000), (1000, 1024, 16_000), (440, 2048, 22_050), (3999, 512, 16_000)):
        found, expected = answer(hertz, n_fft, rate), _bin(hertz, n_fft, rate)
        if found == expected:
            continue
        call = f"bin_of({hertz}, {n_fft}, {rate})"
        if isinstance(found, float):
            return f"{call} gives {found:g}: an entry's number is a whole number; round it."
        if found == expected - 1:
            return f"{call} gives {found}: take the nearest entry, not the one below."
        if found == round(2 * hertz * n_fft / rate):
            return f"{call} gives {found}: that is twice too far; the entries are rate / n_fft apart."
        return f"{call} gives {found}, expected is {expected}."
    return None
