"""Stage F: lengths and alignment, the losses of good and bad sounds, and which vocoder speaks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from muomni.config import VocoderConfig
from muomni.data.mel import LogMel
from muomni.infer import load
from muomni.infer.vocode import GriffinLim
from muomni.models.discriminators import Discriminators
from muomni.models.vocoder import InverseSTFT, make_generator
from muomni.nn.spectral import stft_distance
from muomni.train.vocoder import VocoderObjective, spectrum_loss

CONFIG = VocoderConfig(d_model=16, n_layers=1, d_disc=2, lambda_stft=1.0)


def voice(samples: int = 16_384) -> torch.Tensor:
    """A gliding tone with harmonics."""
    time = torch.arange(samples) / 16_000
    glide = 2 * math.pi * (140 * time + 15 * torch.sin(4 * time))
    return sum(0.2 / n * torch.sin(n * glide) for n in range(1, 12))  # type: ignore[return-value]


@pytest.mark.parametrize("head", ["hifigan", "istft"])
@pytest.mark.parametrize("frames", [2, 9, 64])
def test_frames_give_as_many_samples_as_lie_between_their_centers(head: str, frames: int) -> None:
    generator = make_generator(CONFIG.__class__(head=head, d_model=16, n_layers=1))  # type: ignore[arg-type]
    assert generator(torch.randn(2, frames, 128)).shape == (2, (frames - 1) * 256)
    assert LogMel(CONFIG)(torch.zeros((frames - 1) * 256)).shape[-1] == frames


def test_the_inverse_gives_a_true_spectrum_back_in_its_place() -> None:
    generator, true = InverseSTFT(CONFIG), voice()[None]
    spectrum = generator.stft(true)
    torch.testing.assert_close(generator.invert(spectrum.abs(), spectrum.angle()), true, atol=1e-3, rtol=0)


def test_sound_begins_in_the_frame_where_it_does_in_the_mel() -> None:
    true = torch.cat((torch.zeros(8192), voice(8192)))
    made = InverseSTFT(CONFIG)(LogMel(CONFIG)(true).T[None])[0].detach()
    assert made[:7168].abs().max() < 0.1 * made[9216:].abs().max()


def test_the_true_sound_has_the_lowest_loss_then_griffin_lims_then_noise_and_silence() -> None:
    objective, true = VocoderObjective(CONFIG), voice()
    again = GriffinLim(CONFIG)(LogMel(CONFIG)(true).T)
    noise = 0.1 * torch.randn(len(true), generator=torch.Generator().manual_seed(0))
    losses = [float(objective.reconstruction_loss(x[None], true[None])) for x in (true, again, noise)]
    silence = float(objective.reconstruction_loss(torch.zeros(1, len(true)), true[None]))
    assert losses[0] == 0 < losses[1] < min(losses[2], silence)
    assert stft_distance(true, true) == 0 < stft_distance(again, true) < stft_distance(noise, true)


def test_the_true_spectrum_has_the_lowest_loss() -> None:
    true = InverseSTFT(CONFIG).stft(voice()[None]).transpose(1, 2)
    magnitudes = true.abs().clamp_min(1e-3).log()
    turns = torch.zeros_like(magnitudes)
    turns[:, 1:] = (true[:, 1:] * true[:, :-1].conj()).angle() + 2 * math.pi  # a full turn changes nothing
    best = float(spectrum_loss(magnitudes, turns, true))
    assert best == pytest.approx(0, abs=1e-5)
    assert float(spectrum_loss(magnitudes + 0.1, turns, true)) > best + 0.05
    assert float(spectrum_loss(magnitudes, turns + 0.5, true)) > best + 0.02


def test_there_are_five_period_and_three_scale_discriminators_only_where_they_have_a_weight() -> None:
    judged = Discriminators(CONFIG)(torch.randn(2, 8192))
    assert len(judged) == 8 and all(each.scores.shape[0] == 2 for each in judged)
    assert len(VocoderObjective(CONFIG).turns) == 2
    alone = VocoderObjective(VocoderConfig(d_model=16, n_layers=1, head="istft", lambda_fm=0.0, lambda_adv=0.0))
    assert alone.model.discriminators is None and [turn.name for turn in alone.turns] == ["generator"]


@pytest.mark.parametrize("head", ["hifigan", "istft"])
def test_both_turns_losses_fall_on_a_short_run(head: str) -> None:
    torch.manual_seed(0)
    objective = VocoderObjective(VocoderConfig(head=head, d_model=16, n_layers=1, d_disc=2, rounds=1))  # type: ignore[arg-type]
    optimizers = [torch.optim.AdamW(turn.parameters(objective.model), 2e-3, turn.betas) for turn in objective.turns]
    losses: list[list[float]] = [[], []]
    for _ in range(25):
        for number, (turn, optimizer) in enumerate(zip(objective.turns, optimizers, strict=True)):
            loss = objective(voice(4096)[None], turn).value
            loss.backward()
            optimizer.step()
            objective.zero_grad()
            losses[number].append(float(loss.detach()))
    assert all(each[-1] < each[0] for each in losses)


def test_griffin_lims_log_mel_error_is_below_8_decibels() -> None:
    log_mel = LogMel(CONFIG)
    mel = log_mel(voice())
    error = (log_mel(GriffinLim(CONFIG)(mel.T)) - mel).abs().mean()
    assert 20 / math.log(10) * float(error) < 8


def test_without_trained_weights_griffin_lim_speaks_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "WEIGHTS_FOLDER", tmp_path)
    vocoder, why = load.best_vocoder(CONFIG)
    assert isinstance(vocoder, GriffinLim) and why.startswith("Griffin-Lim: no trained vocoder")
