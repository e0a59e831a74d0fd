"""The 50 chapters: numbers, file names, titles, parts; and the links between them.

Numbers and slugs are fixed, because chapters refer to each other by them. A chapter that is not written yet is named
as plain text and becomes a link once it exists: `make sync` renews the last header line of every chapter with `links`.
Links are written as `../notebooks/NN-slug.ipynb`, which leads to the same file from `chapters/` and from `notebooks/`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PARTS = (
    "Start",
    "Foundations",
    "Signals to tokens",
    "Inside a modern decoder",
    "μOmni's parts",
    "Training, stage by stage",
    "Under the hood",
    "Practice",
    "Deeper",
    "Ship it",
)


@dataclass(frozen=True)
class Chapter:
    """One chapter: `chapters/<name>.md` and `notebooks/<name>.ipynb`."""

    number: int
    slug: str
    title: str
    part: int

    @property
    def name(self) -> str:
        """The file name without its ending: `27-stage-a-thinker`."""
        return f"{self.number:02d}-{self.slug}"

    @property
    def label(self) -> str:
        """Number and title: `27 Stage A: Thinker`."""
        return f"{self.number:02d} {self.title}"

    @property
    def notebook(self) -> str:
        """The chapter's address as other chapters write it."""
        return f"../notebooks/{self.name}.ipynb"


_TITLES: dict[int, list[tuple[str, str]]] = {
    0: [("start-here", "Start here")],
    1: [
        ("learning-from-examples", "Learning from examples"),
        ("neurons-to-networks", "Neurons to networks"),
        ("how-networks-learn", "How networks learn"),
        ("the-transformer-at-a-glance", "The transformer at a glance"),
        ("many-senses-one-model", "Many senses, one model"),
    ],
    2: [
        ("embeddings", "Embeddings"),
        ("attention", "Attention"),
        ("rotary-positions", "Rotary positions"),
        ("tokenization", "Tokenization"),
        ("sound-to-mel", "Sound to mel"),
        ("pixels-to-patches", "Pixels to patches"),
        ("vector-quantization", "Vector quantization"),
    ],
    3: [
        ("decoder-only-language-models", "Decoder-only language models"),
        ("kv-cache", "KV cache"),
        ("grouped-query-attention", "Grouped-query attention"),
        ("swiglu", "SwiGLU"),
        ("mixture-of-experts", "Mixture of experts"),
        ("normalization", "Normalization"),
    ],
    4: [
        ("the-whole-system", "The whole system"),
        ("thinker", "Thinker"),
        ("audio-encoder", "Audio encoder"),
        ("vision-encoder", "Vision encoder"),
        ("rvq-codec", "RVQ codec"),
        ("talker", "Talker"),
        ("fusion", "Fusion"),
    ],
    5: [
        ("the-pipeline-and-its-budget", "The pipeline and its budget"),
        ("stage-a-thinker", "Stage A: Thinker"),
        ("stage-b-audio-encoder", "Stage B: audio encoder"),
        ("stage-c-vision-encoder", "Stage C: vision encoder"),
        ("stage-d-codec-and-talker", "Stage D: codec and Talker"),
        ("stage-e-omni-sft", "Stage E: omni SFT"),
    ],
    6: [
        ("inference-pipeline", "Inference pipeline"),
        ("code-structure", "Code structure"),
        ("configuration-files", "Configuration files"),
        ("data-preparation", "Data preparation"),
        ("speed-and-memory-techniques", "Speed and memory techniques"),
        ("debugging-a-training-run", "Debugging a training run"),
    ],
    7: [
        ("environment", "Environment"),
        ("running-all-stages", "Running all stages, one machine and several"),
        ("talking-with-your-model", "Talking with your model"),
        ("customizing", "Customizing"),
        ("performance-tuning", "Performance tuning"),
    ],
    8: [
        ("the-mathematics", "The mathematics"),
        ("the-papers", "The papers, one claim of each re-run"),
        ("where-to-go-next", "Where to go next"),
    ],
    9: [
        ("export-and-deployment", "Export and deployment"),
        ("stage-f-vocoder", "Stage F: vocoder"),
        ("stage-g-ocr", "Stage G: OCR"),
        ("evaluation-and-the-scorecard", "Evaluation and the scorecard"),
    ],
}

_ROWS = [(part, *row) for part, rows in _TITLES.items() for row in rows]
CHAPTERS = tuple(Chapter(number, slug, title, part) for number, (part, slug, title) in enumerate(_ROWS))

TRAINING = frozenset({27, 28, 29, 30, 31, 47, 48})
"""Chapters that train a stage for some minutes; they are run one at a time, with every core."""


def chapter(number: int) -> Chapter:
    """The chapter with this number.

    Raises:
        KeyError: there is none.
    """
    if not 0 <= number < len(CHAPTERS):
        raise KeyError(f"there is no chapter {number}; they run from 0 to {len(CHAPTERS) - 1}")
    return CHAPTERS[number]


def chapter_of(path: str | Path) -> Chapter | None:
    """The chapter that a file belongs to by its name, or None where the name is not one of the fixed ones."""
    return next((each for each in CHAPTERS if each.name == Path(path).stem), None)


def written(root: str | Path) -> frozenset[int]:
    """The numbers of the chapters that exist under the project's folder, as text or as a notebook."""
    files = [*Path(root, "chapters").glob("*.md"), *Path(root, "notebooks").glob("*.ipynb")]
    return frozenset(found.number for found in map(chapter_of, files) if found is not None)


def link(number: int, existing: Collection[int], text: str | None = None) -> str:
    """A Markdown link to a chapter that exists; its text alone where it does not yet."""
    target = chapter(number)
    label = text or target.label
    return f"[{label}]({target.notebook})" if number in existing else label


def links(number: int, existing: Collection[int]) -> str:
    """The last line of a chapter's header: previous, index, next."""
    parts = []
    if number > 0:
        parts.append(f"← {link(number - 1, existing)}")
    parts.append(link(0, existing, "Index") if number > 0 else "Index")
    if number < len(CHAPTERS) - 1:
        parts.append(f"{link(number + 1, existing)} →")
    return " · ".join(parts)


class Markdown(str):
    """Text that a notebook shows formatted and `print` shows as it is."""

    def _repr_markdown_(self) -> str:
        return str(self)


def table(existing: Collection[int]) -> Markdown:
    """The map of the course: one row for each part, chapters that exist as links."""
    rows = ["| part | chapters |", "|---|---|"]
    for part, title in enumerate(PARTS):
        members = [link(each.number, existing) for each in CHAPTERS if each.part == part]
        rows.append(f"| {part} {title} | {' · '.join(members)} |")
    return Markdown("\n".join(rows))
