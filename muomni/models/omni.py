"""The omni model: a Thinker that reads pictures and sound as if they were words. Stage E.

    ids (B, T) ─ embedding ──────────────────────────┐
    pictures (N, 3, H, W) ─ ViT ─ projector (N, P, C) ┼ each at its places ─ Thinker → logits (B, T, V)
    sounds ─ audio encoder ─ projector (M, C) ───────┘

As in LLaVA (Liu et al. 2023), a two-layer projector turns every patch and every 80 ms of sound into one vector as wide
as a word's. To it comes the mean embedding of the pieces that stage B's CTC head hears there, or that stage C's head
sees there: all stages share one vocabulary, so most of the bridge is built already. Positions follow the spirit of
TMRoPE (Qwen2.5-Omni, 2025) in one dimension, see `muomni.data.chat`; the two of a picture are learned vectors, of a
patch's row and of its column.
B, T, C, V: rows, tokens, width, pieces; N, P: pictures, patches; M: frames of all sounds together.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from muomni.config import AudioEncConfig, OmniSFTConfig
from muomni.models.audio_encoder import AudioEncoder
from muomni.models.thinker import Thinker
from muomni.models.vision_encoder import ViT
from muomni.nn.block import initialise
from muomni.nn.loss import IGNORED, linear_cross_entropy


class Rows(NamedTuple):
    """Rows of tokens, and the pictures and sounds that stand among them."""

    ids: torch.Tensor  # (B, T); what stands at the places of pictures and sound is not read
    positions: torch.Tensor  # (B, T), for the rotary angles
    documents: torch.Tensor  # (B, T), see `nn.attention.document_bias`
    trunks: torch.Tensor  # (B, T)
    pictures: torch.Tensor  # (N, 3, H, W), 0 to 255
    picture_places: torch.Tensor  # (N P,), of all B T tokens
    sounds: torch.Tensor  # log-mels (S, n_mels, T'), or features (M, width) of a frozen encoder
    sound_lengths: torch.Tensor  # (S,), frames of each
    sound_places: torch.Tensor  # (M,)


class Projector(nn.Module):
    """What an encoder says, as wide and about as long as the embedding of a word."""

    def __init__(self, width: int, d_model: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (..., width) -> (..., C)
        return self.out(F.gelu(self.up(x)))


class OmniModel(nn.Module):
    """A Thinker with an audio encoder, a vision encoder and their projectors.

    Args:
        config: the architecture's fields of `OmniSFTConfig`.
    """

    def __init__(self, config: OmniSFTConfig) -> None:
        super().__init__()
        self.config = config
        self.thinker = Thinker(config)  # type: ignore[arg-type]  # has the fields of a Thinker's config
        self.audio = AudioEncoder(audio_config(config))
        self.vision = ViT(
            config,
            config.vision_d_model,
            config.vision_layers,
            config.vision_heads,
            config.vision_d_ff,
            n_words=config.vocab_size,
            window=config.vision_window,
        )
        initialise(self.vision)
        self.audio_projector = Projector(config.audio_d_model, config.d_model)
        self.vision_projector = Projector(config.vision_d_model, config.d_model)
        size = 2 * config.d_model**-0.5  # of an embedding's numbers, see `initialise`
        for projector in (self.audio_projector, self.vision_projector):
            initialise(projector)
            with torch.no_grad():
                projector.out.weight *= size
        self.whole_projector = Projector(config.vision_d_model, config.d_model)
        initialise(self.whole_projector)
        nn.init.zeros_(self.whole_projector.out.weight)  # it begins as silence
        self.row_places = nn.Parameter(torch.randn(self.vision.grid, config.d_model) * size)
        self.column_places = nn.Parameter(torch.randn(self.vision.grid, config.d_model) * size)
        for part, trains in (
            (self.thinker, config.train_thinker),
            (self.audio, config.train_audio),
            (self.vision, config.train_vision),
        ):
            part.requires_grad_(trains)

    def embed(self, rows: Rows) -> torch.Tensor:
        """(B, T, C): words, pictures and sounds as the Thinker reads them."""
        x = self.thinker.embedding(rows.ids)
        flat = x.flatten(0, 1)
        if rows.picture_places.numel():
            seen, whole = self.see(rows.pictures)
            flat = flat.index_copy(0, rows.picture_places, seen.flatten(0, 1).to(x.dtype))
            marks = rows.picture_places.view(len(whole), -1)[:, 0] - 1  # the token before each picture
            flat = flat.index_add(0, marks, whole.to(x.dtype))
        if rows.sound_places.numel():
            heard = self.hear(rows.sounds, rows.sound_lengths) if rows.sounds.dim() == 3 else rows.sounds
            heard = self.words_heard(heard.to(x.dtype)) + self.audio_projector(heard.to(x.dtype))
            flat = flat.index_copy(0, rows.sound_places, heard.to(x.dtype))
        return flat.view_as(x)

    def see(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (N, 3, H, W), 0 to 255, as the Thinker reads them: patch by patch (N, P, C), and as a whole (N, C).

        The whole is the mean of the patch tokens, which stage C compares with whole captions. It is added to the mark
        that stands before a picture.
        """
        patches = self.vision(pixels)
        places = (self.row_places[:, None] + self.column_places).flatten(0, 1)
        seen = self.words_seen(pixels, patches) + self.vision_projector(patches) + places
        return seen, self.whole_projector(patches.mean(1))

    def words_heard(self, states: torch.Tensor) -> torch.Tensor:
        """States (M, width) as the words that CTC hears in them (M, C): the pieces' embeddings, as likely as each is.

        A blank is no word and adds nothing. So the Thinker hears speech, from the first step on, as it reads; what is
        not in the words, the projector tells it.
        """
        likely = self.audio.head(states).float().softmax(-1)[:, : self.audio.blank]
        return likely.to(states.dtype) @ self.thinker.embedding.weight.to(states.dtype)

    def words_seen(self, pixels: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
        """Pixels' patch tokens (N, P, width) as the words that stage C's head sees in them (N, P, C), as `words_heard`.

        What all patches of a picture show alike tells nothing about any of them, and is taken away.
        """
        likely = self.vision.named(pixels, patches).sigmoid()
        likely = likely - likely.mean(1, keepdim=True)
        return likely.to(patches.dtype) @ self.thinker.embedding.weight.to(patches.dtype)

    def hear(self, mels: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
        """Log-mels (S, n_mels, T') and their lengths to the states (M, width) of all, one after the other."""
        states, n_states = self.audio.encode(self.audio.normalize(mels, n_frames), n_frames)
        return torch.cat([row[:n] for row, n in zip(states, n_states.tolist(), strict=True)])

    def hidden(self, rows: Rows) -> torch.Tensor:
        """The Thinker's last states (B, T, C)."""
        return self.thinker.hidden(
            self.embed(rows), positions=rows.positions, documents=rows.documents, trunks=rows.trunks
        ).last

    def loss(self, rows: Rows, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats of `targets` (B, T): the token after each, or -100 where none is judged."""
        judged = targets != IGNORED
        hidden = self.hidden(rows)[judged]
        return linear_cross_entropy(hidden, self.thinker.output_weight, targets[judged])


def audio_config(config: OmniSFTConfig) -> AudioEncConfig:
    """The settings of the audio encoder inside."""
    return AudioEncConfig(
        dropout=config.dropout,
        use_flash=config.use_flash,
        d_model=config.audio_d_model,
        n_layers=config.audio_layers,
        n_heads=config.audio_heads,
        d_ff=config.audio_d_ff,
        vocab_size=config.vocab_size,
        sample_rate=config.sample_rate,
        n_mels=config.n_mels,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        downsample=config.downsample,
        max_audio_seconds=config.max_audio_seconds,
        tokenizer=config.tokenizer,
    )
