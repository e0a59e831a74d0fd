"""Stage F: crops of speech, and the generator learns to make them again from their log-mels.

Batch: samples (B, max_audio_length), a new crop every epoch.

| turn | loss |
|---|---|
| discriminators | least squares: 1 for the recordings, 0 for the generator's |
| generator | `lambda_mel` mel L1 + `lambda_fm` feature matching + `lambda_adv` adversarial + `lambda_stft` STFT |

With `lambda_fm` and `lambda_adv` at 0 there are no discriminators and one turn. The inverse-STFT head then needs no
sound to learn from: its predicted spectrum is compared with the true one, magnitudes as they are and phases by how far
they move between frames, which a mel does tell.

A Talker's mels come out of its codec, blurred. So with `talker` every second mel of a batch is the codec's copy, and
the generator makes the true sound of it (as HiFi-GAN is fine-tuned for its text-to-speech).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from muomni.config import VocoderConfig
from muomni.data.examples import Examples, Reader
from muomni.data.mel import FLOOR, LogMel, mel_filters
from muomni.data.sound import read_sound
from muomni.models.codec import Codec
from muomni.models.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from muomni.models.vocoder import InverseSTFT, make_generator
from muomni.nn.spectral import QUIETEST, stft_distance
from muomni.train.media import Kept, both_splits, dice, tensor_bytes
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.order import Place

BETAS = (0.8, 0.99)


class SoundReader:
    """Reads a file as samples, in half precision."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def __call__(self, path: object) -> Tensor:
        return read_sound(path, self.sample_rate).half()  # type: ignore[arg-type]


class Crops:
    """Crops of recordings: samples (max_audio_length,); shorter recordings end in silence.

    Args:
        varies: whether a crop begins anywhere; else in the middle.
    """

    lengths = None

    def __init__(self, media: Kept[Tensor], config: VocoderConfig, varies: bool) -> None:
        self.media, self.config, self.varies = media, config, varies

    def __len__(self) -> int:
        return len(self.media)

    def __getitem__(self, place: Place) -> Tensor:
        _, _, samples = self.media.read(place.index)
        length = self.config.max_audio_length // self.config.hop_length * self.config.hop_length
        room = max(0, len(samples) - length)
        begin = int(dice(self.config.seed, place).integers(room + 1)) if self.varies else room // 2
        crop = samples[begin : begin + length].float()
        return F.pad(crop, (0, length - len(crop)))

    def collate(self, examples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(examples))


def crops(config: VocoderConfig) -> tuple[Crops, Crops, list[str]]:
    """The training and the validation set of a config's manifest, and what was left out.

    Raises:
        UserError: too many rows are broken.
    """
    examples = Examples.open(config.train_csv, "wav")
    reader = Reader(examples, SoundReader(config.sample_rate))
    train, validation = (
        Crops(Kept(reader, rows, tensor_bytes), config, varies)
        for rows, varies in zip(both_splits(examples, config.val_split), (True, False), strict=True)
    )
    return train, validation, [str(examples.skipped)] if examples.skipped.rows else []


def spectrum_loss(magnitudes: Tensor, turns: Tensor, true: Tensor) -> Tensor:
    """How far a predicted spectrum is from the true complex one, all (B, T, bins).

    Log-magnitudes by their L1, and once more where the sound is loud; the phases' advances by 1 - cos of their error,
    which knows no jump at a full turn, weighted by the magnitude.
    """
    size = true.abs().clamp_min(QUIETEST)
    loud = size.sqrt() / size.sqrt().mean()
    off = (magnitudes - size.log()).abs()
    advanced = true[:, 1:] * true[:, :-1].conj()
    missed = 1 - torch.cos(turns[:, 1:] - advanced.angle())
    return off.mean() + 0.5 * (off * loud).mean() + 0.5 * (missed * loud[:, 1:]).mean()


class Vocoder(nn.Module):
    """What is trained: the generator, and the discriminators where there are any."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = make_generator(config)
        self.discriminators = Discriminators(config) if config.adversarial else None


class VocoderObjective(Objective):
    """The losses of both turns; held out, the generator's comes first, and `mel_l1` of the sound itself.

    Args:
        shown: a held-out crop, made again at every validation.
        codec: copies every second mel, where the config names a Talker.
    """

    model: Vocoder
    filters: Tensor

    def __init__(self, config: VocoderConfig, shown: Tensor | None = None, codec: Codec | None = None) -> None:
        generator = Turn("generator", config.lr_g, ("generator.",), BETAS)
        rival = Turn("discriminators", config.lr_d, ("discriminators.",), BETAS)
        super().__init__(Vocoder(config), config, (rival, generator) if config.adversarial else (generator,))
        self.settings = config
        self.log_mel = LogMel(config)
        self.register_buffer("filters", mel_filters(config), persistent=False)
        self.shown = shown
        self._codec = [codec.requires_grad_(False)] if codec else []  # in a list: no part of what is trained or saved

    def inputs(self, mels: Tensor) -> Tensor:
        """What sound is made of, of true mels (B, T, n_mels): every second one is the codec's copy."""
        if not self._codec:
            return mels
        codec = self._codec[0] = self._codec[0].to(mels.device)
        inputs = mels.clone()
        inputs[1::2] = codec.decode(codec.encode(mels[1::2]))[:, : mels.shape[1]]
        return inputs

    def forward(self, batch: Tensor, turn: Turn) -> Loss:
        true = self.log_mel(batch).transpose(1, 2)
        inputs = self.inputs(true)
        if turn.name == "discriminators":
            with torch.no_grad():
                made = self.model.generator(inputs)
            assert self.model.discriminators is not None
            return Loss(discriminator_loss(self.model.discriminators(batch), self.model.discriminators(made)))
        return self.generator_loss(batch, true, inputs)

    def generator_loss(self, batch: Tensor, true: Tensor, inputs: Tensor) -> Loss:
        """The loss of the sound made of `inputs` for samples `batch`, whose mels are `true`, both (B, T, n_mels)."""
        config, generator = self.settings, self.model.generator
        loss = batch.new_zeros(())
        made = None
        if config.adversarial or not self.training or not isinstance(generator, InverseSTFT):
            made = generator(inputs)
        if isinstance(generator, InverseSTFT):
            magnitudes, turns = generator.spectrum(inputs)
            mel = (magnitudes.exp() @ self.filters).clamp_min(FLOOR).log()
            loss = loss + config.lambda_mel * F.l1_loss(mel, true)
            loss = loss + config.lambda_stft * spectrum_loss(magnitudes, turns, generator.short_time(batch))
        elif made is not None:
            loss = loss + self.reconstruction_loss(made, batch)
        metrics: dict[str, float] = {}
        if made is not None:
            if self.model.discriminators is not None:
                said = self.model.discriminators(made)
                real = self.model.discriminators(batch)
                loss = loss + config.lambda_adv * adversarial_loss(said)
                loss = loss + config.lambda_fm * feature_matching_loss(real, said)
            if not self.training:
                metrics["mel_l1"] = float(F.l1_loss(self.log_mel(made).transpose(1, 2), true))
                metrics["stft"] = float(stft_distance(made, batch))
        return Loss(loss, metrics)

    def reconstruction_loss(self, made: Tensor, true: Tensor) -> Tensor:
        """The losses that compare sounds: 0 for the true one alone."""
        loss = self.settings.lambda_mel * F.l1_loss(self.log_mel(made), self.log_mel(true))
        return loss + self.settings.lambda_stft * stft_distance(made, true) if self.settings.lambda_stft else loss

    def weight(self, batch: Tensor) -> float:
        return float(batch.numel())

    def units(self, batch: Tensor) -> int:
        return len(batch)

    def sample(self, seed: int) -> Sample | None:
        """The mel of a held-out crop above the mel of the sound that was made from it."""
        if self.shown is None:
            return None
        with torch.no_grad():
            mel = self.log_mel(self.shown)
            again = self.log_mel(self.model.generator(mel.transpose(1, 2)))
        error = float((mel - again).abs().mean())
        pixels = (torch.cat((mel[0].flip(0), again[0].flip(0))) + 11.5) / 13 * 255
        return Sample("sound", f"log-mel error {error:.3f}", pixels.clamp(0, 255).to(torch.uint8).expand(3, -1, -1))
