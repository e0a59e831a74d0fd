"""The omni model as one object: `muomni.load("nano")`. Its parts are read when they are first asked for.

| asked for | part |
|---|---|
| `thinker` | stage A |
| `transcribe` | stage B, the audio encoder |
| `match` | stage C, the vision encoder |
| `say` | stage D, the Talker |
| `read` | stage G, the reader |
| `chat`, `describe` | stage E, the omni model |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from muomni.infer.chat import DESCRIBE, TrainedOmni
from muomni.infer.listen import TrainedListener
from muomni.infer.load import (
    TrainedThinker,
    load_listener,
    load_looker,
    load_omni,
    load_reader,
    load_talker,
    load_thinker,
    newest,
    shipped,
)
from muomni.infer.look import TrainedLooker
from muomni.infer.read import TrainedReader
from muomni.infer.speak import TrainedTalker

Sound = str | Path | torch.Tensor
Picture = str | Path | torch.Tensor


class Omni:
    """The trained parts of one profile.

    Args:
        profile: "nano", the weights that come with the package.
        runs: a folder of the learner's own runs (`<stage>_<profile>` each), preferred where they are; None: the shipped
            weights only.
    """

    def __init__(self, profile: str = "nano", runs: str | Path | None = None) -> None:
        self.profile, self.runs = profile, runs

    def folder(self, stage: str) -> Path:
        """Where a stage's weights are.

        Raises:
            UserError: there are none.
        """
        return shipped(stage, self.profile) if self.runs is None else newest(stage, self.profile, self.runs)

    @cached_property
    def thinker(self) -> TrainedThinker:
        """Stage A."""
        return load_thinker(self.folder("thinker"))

    @cached_property
    def listener(self) -> TrainedListener:
        """Stage B."""
        return load_listener(self.folder("audio_enc"))

    @cached_property
    def looker(self) -> TrainedLooker:
        """Stage C."""
        return load_looker(self.folder("vision"))

    @cached_property
    def reader(self) -> TrainedReader:
        """Stage G."""
        return load_reader(self.folder("ocr"))

    @cached_property
    def talker(self) -> TrainedTalker:
        """Stage D."""
        return load_talker(self.folder("talker"))

    def say(self, text: str, voice: int = 0, seed: int = 0) -> torch.Tensor:
        """A text as sound: samples (T,) at 16,000 a second."""
        return self.talker.say(text, voice, seed=seed)

    @cached_property
    def omni(self) -> TrainedOmni:
        """Stage E."""
        return load_omni(self.folder("omni_sft"))

    def chat(
        self,
        text: str = "",
        image: Picture | None = None,
        audio: Sound | None = None,
        speak: bool = False,
    ) -> str | tuple[str, torch.Tensor]:
        """The answer to a text, a picture and a sound, any of them; with `speak`, also its sound, as `say` gives it.

        Raises:
            UserError: a file cannot be read, or nothing is said.
        """
        answer = self.omni.ask(text, image=image, audio=audio)
        return (answer, self.say(answer)) if speak else answer

    def describe(self, image: Picture) -> str:
        """What is in a picture, in one sentence."""
        return self.omni.ask(DESCRIBE, image=image)

    def transcribe(self, audio: Sound, beam: int = 1) -> str:
        """What is said in a sound: a file, or samples (T,) at 16,000 a second."""
        return self.listener.transcribe([audio], beam)[0]

    def read(self, image: Picture, beam: int = 1) -> str:
        """The word written in a picture: a file, or pixels (3, side, side) of 0 to 255."""
        return self.reader.read([image], beam)[0]

    def match(self, image: Picture, captions: Sequence[str]) -> list[tuple[str, float]]:
        """Captions with their probabilities of being a picture's, the likeliest first."""
        return self.looker.choose(image, captions)
