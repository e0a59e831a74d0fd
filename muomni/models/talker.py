"""The Talker: text becomes the codec's codes, frame by frame. Stage D, second half.

    at every frame: the token now spoken, those before and after it, the Thinker's state at it, how long it has been
    spoken, the voice, the codes of the frame before ─ embedded, added → (B, T, C) ─ causal blocks, rotary ─ norm → h
    h ─ linear → code of book 0;  h ─ linear → is the next frame the next token's?
    h ─ linear → GRU over the books, fed with the code of the book before ─ linear → codes of books 1, 2, ...

Text and sound run side by side in time, as in delayed-streams models (Zeghidour et al. 2025): at each frame the Talker
is told which token it speaks, so it need not learn where in the text it is, which a text put in front asks for and
small models do not learn. It decides itself when to go on to the next token, and so how long each lasts. It needs one
token ahead, no more: it speaks while the Thinker is still writing. As in Qwen3-Omni the Thinker's middle layer is
tapped, and a light in-frame predictor adds the finer codes.
B, T, K, E, C, H: batch, frames, books, entries, width, Thinker's width.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import TalkerConfig
from muomni.models.codec import Codec
from muomni.models.thinker import Thinker
from muomni.nn.block import Block, initialise
from muomni.nn.cache import KVCache
from muomni.nn.norm import RMSNorm, product_dtype
from muomni.nn.rotary import rotation
from muomni.plan.parameters import TALKER_LONGEST

THETA = 10000.0
NOTHING = -1
"""The number of a token or a code that is not there: before the first, behind the last."""


class Chooser(Protocol):
    """Takes one number (N,) from each row of logits (N, E), as `infer.generate.Sampling` does."""

    def choose(
        self, logits: torch.Tensor, seen: torch.Tensor | None = None, generator: torch.Generator | None = None
    ) -> torch.Tensor: ...


class Script(NamedTuple):
    """What is to be spoken at each frame.

    tokens: (B, T, 3), the token before, now and after; NOTHING where there is none.
    states: (B, T, H), the Thinker's state at the token now spoken.
    elapsed: (B, T), frames that it has been spoken already.
    voice: (B,), the speaker.
    """

    tokens: torch.Tensor
    states: torch.Tensor
    elapsed: torch.Tensor
    voice: torch.Tensor


def mark(thinker: Thinker) -> torch.Tensor:
    """Four whole numbers that tell one Thinker's weights from another's."""
    digest = hashlib.sha256()
    for name, tensor in sorted(thinker.state_dict().items()):
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    numbers = [int.from_bytes(digest.digest()[at : at + 8], "big") >> 1 for at in range(0, 32, 8)]
    return torch.tensor(numbers, dtype=torch.int64)


class Talker(nn.Module):
    """Tokens with their times, to codes; the codec that the codes are of is a part of it.

    Args:
        config: the architecture's fields of `TalkerConfig`.
    """

    thinker_mark: torch.Tensor

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.d_model, config.predictor_d_model
        books, entries = config.n_codebooks, config.codebook_size
        self.codec = Codec(config)
        self.register_buffer("thinker_mark", torch.zeros(4, dtype=torch.int64))
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.neighbours = nn.Linear(2 * width, width, bias=False)
        self.states = nn.Linear(config.thinker_d_model, width, bias=False)
        self.elapsed = nn.Embedding(TALKER_LONGEST, width)
        self.voices = nn.Embedding(config.n_speakers, width)
        self.codes = nn.Embedding(books * entries, width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.n_heads,
                config.d_ff,
                causal=True,
                use_swiglu=False,
                dropout=config.dropout,
                use_flash=config.use_flash,
            )
            for _ in range(config.n_layers)
        )
        self.norm = RMSNorm(width)
        self.first_book = nn.Linear(width, entries, bias=False)
        self.advance = nn.Linear(width, 1, bias=False)
        self.to_predictor = nn.Linear(width, inner, bias=False)
        self.finer_inputs = nn.Embedding((books - 1) * entries, inner)
        self.predictor = nn.GRUCell(inner, inner, bias=False)
        self.finer_books = nn.ModuleList(nn.Linear(inner, entries, bias=False) for _ in range(books - 1))
        self.dropout = nn.Dropout(config.dropout)
        codec = {name: p.clone() for name, p in self.codec.state_dict().items()}
        initialise(self)
        self.codec.load_state_dict(codec)  # drawn once, in its own order: a Codec alone begins alike

    def set_thinker(self, thinker: Thinker) -> None:
        """Remember whose states this Talker knows: another Thinker's would mean nothing to it."""
        self.thinker_mark.copy_(mark(thinker))

    def knows(self, thinker: Thinker) -> bool:
        """Whether it was trained on this Thinker's states."""
        return bool(torch.equal(self.thinker_mark.cpu(), mark(thinker)))

    def hidden(self, script: Script, before: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """The state h (B, T, C) of every frame.

        Args:
            script: of these frames.
            before: (B, T, K), the codes of the frame before each; NOTHING before the first.
            cache: the frames follow those in it, and are added to it.
        """
        tokens = F.embedding(script.tokens.clamp(min=0), self.tokens.weight) * (script.tokens != NOTHING)[..., None]
        places = torch.arange(before.shape[-1], device=before.device) * self.config.codebook_size
        codes = F.embedding(before.clamp(min=0) + places, self.codes.weight) * (before != NOTHING)[..., None]
        x = (
            tokens[:, :, 1]
            + self.neighbours(tokens[:, :, ::2].flatten(2))
            + self.states(F.rms_norm(script.states, script.states.shape[-1:]))
            + self.elapsed(script.elapsed.clamp(max=TALKER_LONGEST - 1))
            + self.voices(script.voice)[:, None]
            + codes.sum(2)
        )
        x = self.dropout(x)
        start = 0 if cache is None else cache.length
        frames = torch.arange(start, start + x.shape[1], device=x.device)
        turn = rotation(frames, self.config.d_model // self.config.n_heads, THETA).to(product_dtype(x))
        for number, block in enumerate(self.blocks):
            x = block(x, turn=turn, cache=None if cache is None else cache.layers[number])
        states: torch.Tensor = self.norm(x)
        return states

    def finer_logits(self, h: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Logits (N, K - 1, E) of books 1 and up, from h (N, C) and the right codes (N, K) of the books before each."""
        state, found = self.to_predictor(h), list[torch.Tensor]()
        for book in range(len(self.finer_books)):
            state = self.next_state(state, codes[:, book], book)
            found.append(self.finer_books[book](state))
        return torch.stack(found, 1) if found else h.new_zeros(len(h), 0, self.config.codebook_size)

    def next_state(self, state: torch.Tensor, code: torch.Tensor, book: int) -> torch.Tensor:
        """The predictor's state (N, inner) after it heard which code (N,) book `book` has."""
        heard: torch.Tensor = self.predictor(self.finer_inputs(code + book * self.config.codebook_size), state)
        return heard

    def loss(self, script: Script, codes: torch.Tensor, n_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropies in nats of the right codes (B, T, K), a mean over frames and books, plus that of the advance.

        In training a share `code_noise` of the frames before is replaced by random codes: when it speaks, its own
        mistakes will stand there.

        Args:
            n_frames: (B,), frames that are real; what `script` holds behind them is ignored.

        Returns:
            the loss, and how often the likeliest code of book 0 is the right one.
        """
        config = self.config
        before = torch.cat((torch.full_like(codes[:, :1], NOTHING), codes[:, :-1]), 1)
        if self.training and config.code_noise:
            noisy = torch.rand(before.shape[:2], device=codes.device) < config.code_noise
            random = torch.randint_like(before, config.codebook_size)
            before = torch.where(noisy[..., None] & (before != NOTHING), random, before)
        h = self.hidden(script, before)
        real = torch.arange(codes.shape[1], device=codes.device) < n_frames[:, None]
        h_real, right = h[real], codes[real]
        first = self.first_book(h_real)
        logits = torch.cat((first[:, None], self.finer_logits(h_real, right)), 1)  # (N, K, E)
        of_codes = F.cross_entropy(logits.flatten(0, 1).float(), right.flatten())
        ends = torch.cat((script.elapsed[:, 1:] == 0, torch.zeros_like(real[:, :1])), 1)
        ends = ends.scatter(1, (n_frames - 1)[:, None], True)  # behind the last frame comes the end
        of_advance = F.binary_cross_entropy_with_logits(self.advance(h_real)[:, 0].float(), ends[real].float())
        return of_codes + of_advance, (first.argmax(-1) == right[:, 0]).float().mean()

    def codes_of(self, h: torch.Tensor, sampling: Chooser, chance: torch.Generator | None = None) -> torch.Tensor:
        """Codes (N, K) of frames whose states are h (N, C), book after book."""
        codes = [sampling.choose(self.first_book(h), generator=chance)]
        state = self.to_predictor(h)
        for book, logits in enumerate(self.finer_books):
            state = self.next_state(state, codes[-1], book)
            codes.append(sampling.choose(logits(state), generator=chance))
        return torch.stack(codes, 1)

    @torch.no_grad()
    def follow(self, script: Script, sampling: Chooser) -> torch.Tensor:
        """Codes (B, T, K) spoken at the script's own times."""
        cache = KVCache(len(self.blocks), script.elapsed.shape[1])
        codes = torch.full((len(script.voice), 1, self.config.n_codebooks), NOTHING, device=script.voice.device)
        said = []
        for t in range(script.elapsed.shape[1]):
            now = slice(t, t + 1)
            one = Script(script.tokens[:, now], script.states[:, now], script.elapsed[:, now], script.voice)
            codes = self.codes_of(self.hidden(one, codes, cache)[:, 0], sampling)[:, None]
            said.append(codes)
        return torch.cat(said, 1)
