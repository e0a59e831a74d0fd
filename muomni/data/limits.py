"""Limits of length, from the data: the 99th percentile instead of a guess, and what it leaves out.

A few very long examples make every batch they are in slow and large. A limit at a percentile of the lengths takes most
of that away; what it costs is counted and reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muomni.errors import BAD_USAGE, UserError


@dataclass(frozen=True)
class LengthLimit:
    """A limit and what it leaves out; printed, it is the report.

    Attributes:
        limit: the longest length that is kept.
        unit: what lengths are counted in.
        kept, left_out: examples.
        share_of_length: of all length, the part that is left out.
    """

    limit: float
    unit: str
    kept: int
    left_out: int
    share_of_length: float

    def __str__(self) -> str:
        if not self.left_out:
            return f"nothing is longer than {self.limit:g} {self.unit}: all {self.kept:,} examples are kept"
        return (
            f"{self.left_out:,} of {self.kept + self.left_out:,} examples are longer than {self.limit:g} {self.unit} "
            f"and left out ({self.share_of_length:.1%} of all {self.unit})"
        )


def limit_lengths(lengths: Sequence[float], percentile: float = 100.0, unit: str = "seconds") -> LengthLimit:
    """The limit that keeps `percentile` percent of the examples (the smallest length that does).

    Args:
        lengths: of every example.
        percentile: above 0, up to 100; 100 keeps everything.

    Raises:
        UserError: no lengths, or a percentile out of range.
    """
    if not 0 < percentile <= 100:
        problem = f"{percentile!r} is not above 0 and at most 100"
        raise UserError(problem, field="percentile", fix="99 leaves the longest hundredth out.", exit_code=BAD_USAGE)
    values = np.asarray(lengths, dtype=np.float64)
    if not len(values):
        raise UserError("no lengths to set a limit by", fix="Check the manifest: it has no usable row.")
    limit = float(np.quantile(values, percentile / 100, method="inverted_cdf"))
    out = values > limit
    share = float(values[out].sum() / values.sum()) if values.sum() else 0.0
    return LengthLimit(limit, unit, int((~out).sum()), int(out.sum()), share)
