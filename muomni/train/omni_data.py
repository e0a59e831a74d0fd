"""Stage E's data: rows of ctx_len tokens, filled with conversations whose tasks are drawn by `sft_mix`.

| task | from | a conversation |
|---|---|---|
| text | lines of text with "Q:" and "A:" | a scene told in words; questions that it answers, each a branch |
| caption | pictures | each of a picture's captions |
| picture_question | pictures of scene records | questions that the record answers, each a branch of the picture's |
| transcribe | speech | a sound; what it says |
| spoken_question | pictures, and speech that asks | spoken questions that the record answers, or small talk |
| read | pictures with a word in them, pictures of words | a picture; what is written |

Questions are drawn as the grammar draws them: a kind, a branch, an item, a template; only that the hard kinds of
`DRAWN` are drawn more often, as they are learned last. One picture serves many of them,
so that the model learns from it several times and reads it once; so does one caption. With `text_first` a run begins
with text alone, the first half of it with the questions of `FIRST`: such a step costs less, and what it teaches, to
look an answer up, all else needs as well.
A task that the data does not support is left out with a line that says so: captions and transcripts alone hold no
questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from muomni.config import OmniSFTConfig
from muomni.data.chat import CAPTION, READ, TRANSCRIBE, USER, Row
from muomni.data.examples import Example, Examples, Reader
from muomni.data.line_index import LineIndex
from muomni.data.sound import sound_info
from muomni.data.tokenizer import Tokenizer
from muomni.data.world.captions import read_caption
from muomni.data.world.facts import Facts
from muomni.data.world.grammar import question_kinds
from muomni.data.world.lexicon import WORLD
from muomni.data.world.questions import Branch, Item, follow_up
from muomni.data.world.scene import observe, scene
from muomni.errors import UserError
from muomni.models.omni import Rows
from muomni.nn.loss import IGNORED
from muomni.nn.padding import padded
from muomni.train.media import Kept, MelReader, PictureReader, both_splits, dice, tensor_bytes
from muomni.train.order import Place

TASKS = ("text", "caption", "picture_question", "transcribe", "spoken_question", "read")
TEXT = TASKS.index("text")
TRIES = 4
"""Tasks tried, at the end of a row, for one that still fits."""
MOST_BRANCHES = 9
DRAWN = {"relation": 3.0, "where": 3.0, "which": 2.0, "describe": 2.0}
"""How often a kind of question is drawn, if not once: answers that take two things and how they stand to each other."""
FIRST = ("color", "shape", "exist")
"""Kinds of questions that the first half of `text_first` asks: what belongs to what."""
ALONE = 5
"""One spoken question in so many is small talk without a picture."""


Asked = list[tuple[list[int], str]]
"""Of one branch of questions: the clips that ask one in the same words, and its answer."""


class Batch(NamedTuple):
    rows: Rows
    targets: torch.Tensor  # (B, T): the token after each, where it belongs to an answer
    answers: torch.Tensor  # (B, T): the number of that answer in the batch, or -1
    tasks: torch.Tensor  # (A,): the task of each answer, by its place in TASKS


class Part(NamedTuple):
    """One split of everything that conversations are made of."""

    pictures: Kept[torch.Tensor] | None
    clips: Kept[torch.Tensor] | None
    words: Kept[torch.Tensor] | None
    lines: Sequence[int]
    spoken: dict[str, list[int]]
    signs: list[int]


class Conversations:
    """Rows of conversations, each a function of the seed, the epoch and its number.

    Args:
        part: the pictures, clips, word pictures and lines to draw from.
        text: the text that lines are of.
        weights: of each task in TASKS; 0 where the data does not support it.
        n_rows: how many rows make an epoch.
    """

    lengths = None  # all rows are about full

    def __init__(
        self,
        part: Part,
        text: LineIndex | None,
        weights: np.ndarray,
        config: OmniSFTConfig,
        tokenizer: Tokenizer,
        n_rows: int,
        seconds_per_frame: float,
    ) -> None:
        self.part, self.text, self.config, self.tokenizer, self.n_rows = part, text, config, tokenizer, n_rows
        self.shares = weights / weights.sum()
        self.text_steps = round(config.text_first * config.max_steps) if weights[TEXT] else 0
        self.text_alone = np.eye(len(TASKS))[TEXT]
        self.seconds_per_frame = seconds_per_frame
        self.options: dict[object, list[Asked]] = {}
        self.n_patches = (config.img_size // config.patch) ** 2
        self.makers: dict[str, Callable[[Row, np.random.Generator], None]] = {
            "text": self._text,
            "caption": self._caption,
            "picture_question": self._picture_question,
            "transcribe": self._transcribe,
            "spoken_question": self._spoken_question,
            "read": self._read,
        }

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, place: Place) -> tuple[Row, list[int], dict[tuple[str, object], torch.Tensor]]:
        chance = dice(self.config.seed, place)
        self.media: dict[tuple[str, object], torch.Tensor] = {}
        begun = np.inf if place.step is None else place.step
        self.early = begun < self.text_steps / 2
        shares = self.text_alone if begun < self.text_steps else self.shares
        row, tasks, failures = Row(self.tokenizer), list[int](), 0
        while failures < TRIES:
            task = int(chance.choice(len(TASKS), p=shares))
            before = row.size
            self.makers[TASKS[task]](row, chance)
            answers = row.n_answers - before[-1]
            if len(row) > self.config.ctx_len or not answers:
                row.cut(before)
                failures += 1
            else:
                tasks += [task] * answers
        return row, tasks, self.media

    def _text(self, row: Row, chance: np.random.Generator) -> None:
        assert self.text is not None
        line = self.text[self.part.lines[int(chance.integers(len(self.part.lines)))]]
        told, *turns = line.split("Q:")
        row.begin()
        readings = read_caption(told.strip(), WORLD)
        if readings and readings[0][0].kind != "talk":
            row.mark(USER)
            row.text(told)
            self._questions(row, chance, readings[0][0])
            return
        for n, turn in enumerate(turns):
            question, _, answer = turn.partition("A:")
            row.mark(USER)
            row.text(f"{told.strip()} {question.strip()}" if n == 0 else question)
            row.answer(answer.strip())

    def _caption(self, row: Row, chance: np.random.Generator) -> None:
        example, trunk, at = self._look(row, chance, self.part.pictures)
        for caption in example.texts:
            row.branch(trunk, at)
            self._asked(row, CAPTION, caption)

    def _picture_question(self, row: Row, chance: np.random.Generator) -> None:
        example, _, _ = self._look(row, chance, self.part.pictures)
        self._questions(row, chance, observe(scene(*example.values["scene"])))

    def _questions(self, row: Row, chance: np.random.Generator, facts: Facts) -> None:
        """Questions about facts, each a branch of what the row tells or shows of them."""
        trunk, at = row.document, row.at
        kinds = question_kinds(facts)
        if self.early:
            kinds = {kind: kinds[kind] for kind in FIRST if kind in kinds} or kinds
        each, often = list(kinds.values()), np.array([DRAWN.get(kind, 1.0) for kind in kinds])
        often /= often.sum()
        for _ in range(MOST_BRANCHES):
            before = row.size
            branches = each[int(chance.choice(len(each), p=often))]
            row.branch(trunk, at)
            item = self._question(row, chance, _pick(chance, branches))
            more = follow_up(facts, item.focus, item.told)
            if more and chance.integers(2):
                row.mark(USER)
                self._question(row, chance, _pick(chance, more))
            if len(row) > self.config.ctx_len:
                row.cut(before)
                break

    def _transcribe(self, row: Row, chance: np.random.Generator) -> None:
        assert self.part.clips is not None
        row.begin()
        row.mark(USER)
        text = self._listen(row, int(chance.integers(len(self.part.clips))))
        self._asked(row, TRANSCRIBE, text)

    def _spoken_question(self, row: Row, chance: np.random.Generator) -> None:
        alone = not chance.integers(ALONE)
        if alone:
            row.begin()
            row.mark(USER)
            trunk, at = row.document, row.at
            options = self._asked_aloud("small talk", lambda: Facts("talk"))
        else:
            example, trunk, at = self._look(row, chance, self.part.pictures)
            record = example.values["scene"]
            options = self._asked_aloud(example.file, lambda: observe(scene(*record)))
        for clip, answer in spoken_turns(options, chance)[: 1 if alone else MOST_BRANCHES // 2]:
            before = row.size
            row.branch(trunk, at)
            self._listen(row, clip)
            row.answer(answer)
            if len(row) > self.config.ctx_len:
                row.cut(before)
                break

    def _asked_aloud(self, what: object, facts: Callable[[], Facts]) -> list[Asked]:
        """`spoken_options` of a picture's facts, found once."""
        if what not in self.options:
            self.options[what] = spoken_options(question_kinds(facts()), self.part.spoken)
        return self.options[what]

    def _read(self, row: Row, chance: np.random.Generator) -> None:
        words = self.part.words is not None and (not self.part.signs or not chance.integers(3))
        if words:
            example, _, _ = self._look(row, chance, self.part.words, "word")
            self._asked(row, READ, example.text)
            return
        number = self.part.signs[int(chance.integers(len(self.part.signs)))]
        example, trunk, at = self._look(row, chance, self.part.pictures, number=number)
        facts = observe(scene(*example.values["scene"]))
        branches = question_kinds(facts)["word"]
        for branch in (branches[0], branches[1], _pick(chance, branches)):
            row.branch(trunk, at)
            self._question(row, chance, branch)

    def _question(self, row: Row, chance: np.random.Generator, branch: Branch) -> Item:
        """One question of a branch of the grammar, put in one of its ways, and its answer."""
        item: Item = _pick(chance, branch.items)
        self._asked(row, _pick(chance, branch.templates).format(**item.slots), item.answer + ".")
        return item

    def _asked(self, row: Row, question: str, answer: str) -> None:
        row.text(question)
        row.answer(answer)

    def _look(
        self,
        row: Row,
        chance: np.random.Generator,
        pictures: Kept[torch.Tensor] | None,
        kind: str = "picture",
        number: int | None = None,
    ) -> tuple[Example, int, float]:
        """Begin a conversation with a picture; the picture's row, and where branches begin."""
        assert pictures is not None
        number = int(chance.integers(len(pictures))) if number is None else number
        at, example, pixels = pictures.read(number)
        self.media[kind, at] = pixels
        row.begin()
        row.mark(USER)
        row.picture((kind, at), self.n_patches)
        return example, row.document, row.at

    def _listen(self, row: Row, number: int) -> str:
        """A clip stands next in the row; what it says."""
        assert self.part.clips is not None
        at, example, mel = self.part.clips.read(number)
        self.media["sound", at] = mel
        row.sound(("sound", at), -(-mel.shape[1] // self.config.downsample), self.seconds_per_frame)
        return example.text

    def collate(self, examples: Sequence[tuple[Row, list[int], dict[tuple[str, object], torch.Tensor]]]) -> Batch:
        return collate(examples, self.tokenizer.pad_id)


def collate(examples: Sequence[tuple[Row, list[int], dict[tuple[str, object], torch.Tensor]]], pad_id: int) -> Batch:
    """Rows as one batch, padded behind with documents of their own."""
    rows = [row for row, _, _ in examples]
    ids = padded([row.ids for row in rows], pad_id)
    width = ids.shape[1]
    positions = torch.zeros(ids.shape)
    documents, trunks = padded([row.documents for row in rows], -1), padded([row.trunks for row in rows], -1)
    answers = torch.full(ids.shape, -1)
    first = 0
    pictures, sounds = list[torch.Tensor](), list[torch.Tensor]()
    picture_places, sound_places = list[int](), list[int]()
    for number, (row, tasks, media) in enumerate(examples):
        positions[number, : len(row)] = torch.tensor(row.positions)
        told = torch.tensor(row.answers[1:])
        answers[number, : len(told)] = torch.where(told >= 0, told + first, -1)
        first += len(tasks)
        for each in row.media:
            found = media[each.key]  # type: ignore[index]  # the key that `_look` gave
            places = range(number * width + each.start, number * width + each.start + each.n_tokens)
            (pictures if each.kind == "picture" else sounds).append(found)
            (picture_places if each.kind == "picture" else sound_places).extend(places)
    following = torch.cat((ids[:, 1:], ids.new_full((len(ids), 1), pad_id)), 1)
    targets = torch.where(answers >= 0, following, IGNORED)
    lengths = [sound.shape[-1] for sound in sounds]
    mels = [torch.nn.functional.pad(each.float(), (0, max(lengths) - each.shape[1])) for each in sounds]
    batch = Rows(
        ids,
        positions,
        documents,
        trunks,
        torch.stack(pictures) if pictures else torch.zeros(0, 1, 1),
        torch.tensor(picture_places, dtype=torch.long),
        torch.stack(mels) if mels else torch.zeros(0, 1),
        torch.tensor(lengths, dtype=torch.long),
        torch.tensor(sound_places, dtype=torch.long),
    )
    return Batch(batch, targets, answers, torch.tensor([task for _, tasks, _ in examples for task in tasks]))


def spoken_options(kinds: dict[str, list[Branch]], spoken: dict[str, list[int]]) -> list[Asked]:
    """Of each branch of questions that has any in `spoken`: the clips that ask one, and its answer."""
    found = []
    for branches in kinds.values():
        for branch in branches:
            asked = [
                (clips, item.answer + ".")
                for item in branch.items
                for template in branch.templates
                if (clips := spoken.get(template.format(**item.slots)))
            ]
            if asked:
                found.append(asked)
    return found


def spoken_turns(options: list[Asked], chance: np.random.Generator) -> list[tuple[int, str]]:
    """(clip, answer) of one question of each branch, in random order."""
    found = []
    for asked in options:
        clips, answer = _pick(chance, asked)
        found.append((int(_pick(chance, clips)), answer))
    return [found[i] for i in chance.permutation(len(found))]


def _pick(chance: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(chance.integers(len(options)))]


def conversations(
    config: OmniSFTConfig, tokenizer: Tokenizer, seconds_per_frame: float, n_rows: tuple[int, int]
) -> tuple[Conversations, Conversations, list[str]]:
    """The training and the validation rows, and what was left out.

    Raises:
        UserError: a manifest has too many broken rows, or no task can be trained.
    """
    wanted = {task: config.sft_mix.get(task, 0.0) for task in TASKS}
    strange = sorted(set(config.sft_mix) - set(TASKS))
    if strange:
        raise UserError(f"names {strange[0]!r}", field="sft_mix", fix=f"There are {', '.join(TASKS)}.")
    notes = list[str]()
    look = PictureReader(config.img_size)
    uses_pictures = any(wanted[task] for task in ("caption", "picture_question", "spoken_question", "read"))
    pictures = _opened(config.train_manifest, "image", config.image_root, look, notes) if uses_pictures else None
    clips = None
    if wanted["transcribe"] or wanted["spoken_question"]:
        clips = _opened(config.train_csv, "wav", None, MelReader(config), notes, sound=True)
    words = _opened(config.ocr_csv, "image", None, look, notes) if wanted["read"] else None
    text = LineIndex.open(config.train_text) if wanted["text"] else None
    asks = text is not None and "A:" in text[0] and "A:" in text[len(text) // 2]
    records = pictures is not None and "scene" in pictures.examples[0].values
    if not asks:
        text, wanted["text"] = None, _left_out(notes, "text", wanted, f"{config.train_text} holds no Q: and A:")
    parts = []
    for split in (0, 1):
        rows = [
            None if reader is None else both_splits(reader.examples, config.val_split)[split]
            for reader in (pictures, clips, words)
        ]
        if clips is not None:
            assert rows[1] is not None
            rows[1] = rows[1][clips.examples.lengths[rows[1]] <= config.max_audio_seconds]
        kept = [
            None if reader is None or numbers is None or not len(numbers) else Kept(reader, numbers, tensor_bytes)
            for reader, numbers in zip((pictures, clips, words), rows, strict=True)
        ]
        signs, spoken = list[int](), dict[str, list[int]]()
        if records and kept[0] is not None:
            signs = [
                place
                for place, row in enumerate(kept[0].rows)
                if scene(*kept[0].reader.examples[int(row)].values["scene"]).word is not None
            ]
        if kept[1] is not None:
            for place, row in enumerate(kept[1].rows):
                spoken.setdefault(kept[1].reader.examples[int(row)].text, []).append(place)
        n = 0 if text is None else len(text)
        edge = int(n * (1 - config.val_split))
        seen, heard, written = kept
        parts.append(Part(seen, heard, written, range(edge) if split == 0 else range(edge, n), spoken, signs))
    if not records:
        for task in ("picture_question", "spoken_question"):
            wanted[task] = _left_out(notes, task, wanted, f"{config.train_manifest} names no scene records")
    weights = np.array([wanted[task] for task in TASKS])
    if not weights.any():
        raise UserError("no task of it can be trained on this data", field="sft_mix", fix="; ".join(notes))
    train, validation = (
        Conversations(part, text, weights, config, tokenizer, rows, seconds_per_frame)
        for part, rows in zip(parts, n_rows, strict=True)
    )
    return train, validation, notes


def _left_out(notes: list[str], task: str, wanted: dict[str, float], why: str) -> float:
    if wanted[task]:
        notes.append(f"task {task} is left out: {why}")
    return 0.0


def _opened(
    manifest: str,
    media: str,
    root: str | None,
    read: Callable[[Any], torch.Tensor],
    notes: list[str],
    sound: bool = False,
) -> Reader[torch.Tensor]:
    measure = (lambda path: sound_info(path).seconds) if sound else None
    examples = Examples.open(manifest, media, root, measure=measure)
    notes += [str(examples.skipped)] if examples.skipped.rows else []
    return Reader(examples, read)
