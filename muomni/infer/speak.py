"""Speaking: a text's tokens become codes frame by frame, the codes a log-mel, the log-mel sound.

    text ─ tokens, Thinker's states ─ Talker, frame by frame → codes (T, K) ─ codec → log-mel ─ vocoder → samples

The Talker needs one token ahead: `speak` takes tokens as they come, and says each while the next is being written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.infer.generate import Sampling
from muomni.models.codec import StreamingDecoder
from muomni.models.talker import NOTHING, Script, Talker
from muomni.models.thinker import Thinker
from muomni.nn.cache import KVCache

MOST_FRAMES = 25
"""A token is left after so many frames (2 s) at the latest."""
LONGEST_TEXT = 400
"""Tokens that are said at once."""
GREEDY = Sampling(temperature=0.0)


def tokens_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens (L,) of what is to be said. As in conversations a space comes first, so that the first word has the
    pieces that it has everywhere."""
    return tokenizer.encode(" " + text.strip()) if text.strip() else []


@torch.no_grad()
def states_of(thinker: Thinker, tokens: Sequence[int]) -> torch.Tensor:
    """The Thinker's states (L, H) at tokens (L,), from its middle layer: it knows there what a word means here, and
    not yet only what comes next."""
    limit = thinker.config.ctx_len
    rows = [tokens[at : at + limit] for at in range(0, len(tokens), limit)]
    middle = (thinker.config.n_layers + 1) // 2
    found = []
    for row in rows:
        layer = thinker.hidden(torch.tensor([row]), layer=middle).layer
        assert layer is not None
        found.append(layer[0])
    return torch.cat(found)


def at_frames(
    tokens: torch.Tensor, states: torch.Tensor, starts: torch.Tensor, n_frames: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is spoken at each of T frames: tokens (T, 3), states (T, H), elapsed (T,).

    Args:
        tokens: (L,), of the text.
        states: (L, H).
        starts: (L,), the frame each begins at; the first is 0.
        n_frames: T.
    """
    frames = torch.arange(n_frames)
    at = torch.searchsorted(starts, frames, right=True) - 1  # (T,)
    edge = torch.full((1,), NOTHING)
    around = torch.cat((edge, tokens, edge)).unfold(0, 3, 1)  # (L, 3)
    return around[at], states[at], frames - starts[at]


@torch.inference_mode()
def speak(
    model: Talker,
    tokens: Iterable[tuple[int, torch.Tensor]],
    voice: int = 0,
    sampling: Sampling = GREEDY,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Codes (K,), one frame after another.

    Args:
        tokens: (token, the Thinker's state (H,) at it), as they come.
        voice: the speaker.
        sampling: how codes are chosen.
        seed: of what is drawn.
    """
    chance = torch.Generator().manual_seed(seed)
    cache = KVCache(len(model.blocks), MOST_FRAMES * LONGEST_TEXT)
    codes = torch.full((1, 1, model.config.n_codebooks), NOTHING)
    speaker, before = torch.tensor([voice]), NOTHING
    coming = iter(tokens)
    now, then = next(coming, None), next(coming, None)
    while now is not None:
        around = torch.tensor([[[before, now[0], NOTHING if then is None else then[0]]]])
        for elapsed in range(MOST_FRAMES):
            script = Script(around, now[1][None, None], torch.tensor([[elapsed]]), speaker)
            h = model.hidden(script, codes, cache)[:, -1]
            codes = model.codes_of(h, sampling, chance)[None]
            yield codes[0, 0]
            if model.advance(h) > 0:
                break
        before, now, then = now[0], then, next(coming, None)


@dataclass(frozen=True)
class TrainedTalker:
    """A Talker with its codec, the Thinker that it listens to, the tokenizer, a vocoder, and where it came from.

    Args:
        vocoder: log-mel (T, n_mels) to samples.
        voiced_by: which vocoder that is, and why.
    """

    model: Talker
    thinker: Thinker
    tokenizer: Tokenizer
    vocoder: Callable[[torch.Tensor], torch.Tensor]
    folder: Path
    voiced_by: str = ""

    def codes(self, text: str, voice: int = 0, sampling: Sampling = GREEDY, seed: int = 0) -> Iterator[torch.Tensor]:
        """Codes (K,) of a text, frame by frame.

        Raises:
            UserError: the text is empty or too long, or there is no such voice.
        """
        tokens = tokens_of(self.tokenizer, text)
        if not tokens:
            raise UserError("is empty: there is nothing to say", field="text", fix="Write a sentence.")
        if len(tokens) > LONGEST_TEXT:
            problem = f"has {len(tokens)} tokens, at most {LONGEST_TEXT} can be said at once"
            raise UserError(problem, field="text", fix="Say it in parts.")
        n_voices = self.model.config.n_speakers
        if not 0 <= voice < n_voices:
            raise UserError(f"{voice} is none of the {n_voices} voices, 0 to {n_voices - 1}", field="voice")
        states = states_of(self.thinker, tokens)
        return speak(self.model, zip(tokens, states, strict=True), voice, sampling, seed)

    @torch.inference_mode()
    def mel(self, text: str, voice: int = 0, sampling: Sampling = GREEDY, seed: int = 0) -> torch.Tensor:
        """The log-mel (T, n_mels) of a text. Errors as in `codes`."""
        return self.model.codec.decode(torch.stack(list(self.codes(text, voice, sampling, seed)))[None])[0]

    def say(self, text: str, voice: int = 0, sampling: Sampling = GREEDY, seed: int = 0) -> torch.Tensor:
        """A text as samples (T,) at the model's rate. Errors as in `codes`."""
        return self.vocoder(self.mel(text, voice, sampling, seed))

    @torch.inference_mode()
    def stream(self, text: str, voice: int = 0, sampling: Sampling = GREEDY, seed: int = 0) -> Iterator[torch.Tensor]:
        """Log-mel frames (T, n_mels) as soon as they are certain; together they are `mel`. Errors as in `codes`."""
        decoder = StreamingDecoder(self.model.codec)
        for codes in self.codes(text, voice, sampling, seed):
            part = decoder.push(codes[None])
            if len(part):
                yield part
        yield decoder.finish()
