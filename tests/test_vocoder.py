"""Stage F: lengths and alignment, the losses of good and bad sounds, and which vocoder speaks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from muomni.config import TalkerConfig, VocoderConfig, read_config
from muomni.data.mel import LogMel
from muomni.infer import load
from muomni.infer.vocode import GriffinLim
from muomni.models.codec import Codec
from muomni.models.discriminators import Discriminators
from muomni.models.vocoder import InverseSTFT, make_generator
from muomni.nn.spectral import ShortTime, stft_distance
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
    spectrum = generator.short_time(true)
    mel = spectrum.abs() @ generator.filters
    torch.testing.assert_close(generator.invert(spectrum.abs(), spectrum.angle(), mel), true, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 256), (600, 100)])
def test_the_short_time_spectrum_and_its_inverse_are_torchs(n_fft: int, hop: int) -> None:
    short_time, window, true = ShortTime(n_fft, hop), torch.hann_window(n_fft), torch.randn(2, 12 * hop)
    spectrum = short_time(true)
    expected = torch.stft(true, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    torch.testing.assert_close(spectrum, expected.transpose(1, 2))
    torch.testing.assert_close(short_time.inverse(spectrum), true, atol=1e-4, rtol=1e-4)
    changed = torch.randn_like(spectrum.real) * spectrum  # of no sound: the nearest is wanted
    expected = torch.istft(changed.transpose(1, 2), n_fft, hop, window=window, length=12 * hop)
    torch.testing.assert_close(short_time.inverse(changed), expected, atol=1e-4, rtol=1e-4)


def test_predicted_magnitudes_have_the_mel_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = InverseSTFT(CONFIG)
    torch.nn.init.normal_(generator.head.bias, std=0.5)  # a network that is wrong
    log_mel = LogMel(CONFIG)(voice()).T[None]

    def away() -> float:
        with torch.no_grad():
            magnitudes = generator.spectrum(log_mel)[0].exp()
        return float(((magnitudes @ generator.filters).log() - log_mel).abs().mean())

    corrected = away()
    monkeypatch.setattr(generator, "missing", lambda magnitudes, wanted: torch.ones(()))
    assert corrected < 0.5 * away()


def test_phases_of_a_tone_stay_together_where_their_advances_are_wrong() -> None:
    """Its bins would drift apart, and the tone with them; locked to the loudest, only the whole tone is shifted."""
    generator = InverseSTFT(CONFIG)
    time = torch.arange(32_768) / 16_000
    true = generator.short_time(0.5 * torch.sin(2 * math.pi * 1000 * time)[None])
    magnitudes, mel = true.abs().clamp_min(1e-3), true.abs() @ generator.filters
    turns = generator.advance + 0.3 * torch.randn(magnitudes.shape, generator=torch.Generator().manual_seed(0))
    generator.rounds = 0
    both = (generator.phases(magnitudes, turns), generator.start + turns.cumsum(1))
    locked, drifted = (generator.invert(magnitudes, phases, mel)[0, -16_384:].square().mean() for phases in both)
    assert locked > 0.9 * 0.125 > 0.75 * 0.125 > drifted


def test_rounds_bring_the_spectrum_nearer_to_one_of_a_sound() -> None:
    generator, log_mel = InverseSTFT(CONFIG), LogMel(CONFIG)
    mel, errors = log_mel(voice()).T[None], []
    for generator.rounds in (0, 4, 16):
        made = generator(mel).detach()
        errors.append(float((log_mel(made).transpose(1, 2) - mel).abs().mean()))
    assert errors[0] > errors[1] > errors[2]


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
    true = InverseSTFT(CONFIG).short_time(voice()[None])
    magnitudes = true.abs().clamp_min(1e-3).log()
    turns = torch.zeros_like(magnitudes)
    turns[:, 1:] = (true[:, 1:] * true[:, :-1].conj()).angle() + 2 * math.pi  # a full turn changes nothing
    best = float(spectrum_loss(magnitudes, turns, true))
    assert best == pytest.approx(0, abs=1e-5)
    assert float(spectrum_loss(magnitudes + 0.1, turns, true)) > best + 0.05
    assert float(spectrum_loss(magnitudes, turns + 0.5, true)) > best + 0.02


def test_with_a_codec_every_second_mel_is_its_copy_and_true_sound_is_wanted_of_it() -> None:
    torch.manual_seed(0)
    codec = Codec(TalkerConfig(codec_d_model=16, codec_blocks=1, codec_dim=4, n_codebooks=2, codebook_size=16))
    config = VocoderConfig(head="istft", d_model=16, n_layers=1, lambda_fm=0.0, lambda_adv=0.0, lambda_stft=1.0)
    alone, copied = VocoderObjective(config), VocoderObjective(config, codec=codec)
    sounds = torch.stack([voice(), voice().flip(0), voice() * 0.5])
    true = copied.log_mel(sounds).transpose(1, 2)
    inputs = copied.inputs(true)
    assert torch.equal(inputs[::2], true[::2]) and torch.equal(inputs[1:2], codec.decode(codec.encode(true[1:2])))
    assert torch.equal(alone.inputs(true), true)
    turn = copied.turns[0]
    copied.model.load_state_dict(alone.model.state_dict())  # the codec is no part of it
    assert copied(sounds[:1], turn).value == alone(sounds[:1], turn).value
    assert copied(sounds[1:], turn).value > alone(sounds[1:], turn).value + 0.1  # this codec has learned nothing yet


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


@pytest.mark.slow
def test_the_reference_vocoders_losses_fall_on_a_short_run() -> None:
    """vocoder_tiny as it is, on a crop of half a second: both turns' losses, after a few steps of its own rates."""
    torch.manual_seed(0)
    config = read_config(Path(__file__).parent.parent / "configs/vocoder_tiny.json").config
    assert isinstance(config, VocoderConfig)
    objective, crop = VocoderObjective(config), voice(config.max_audio_length)[None]
    optimizers = [torch.optim.AdamW(turn.parameters(objective.model), turn.lr, turn.betas) for turn in objective.turns]
    losses: list[list[float]] = [[], []]
    for _ in range(6):
        for number, (turn, optimizer) in enumerate(zip(objective.turns, optimizers, strict=True)):
            loss = objective(crop, turn).value
            loss.backward()
            optimizer.step()
            objective.zero_grad()
            losses[number].append(float(loss.detach()))
    assert all(each[-1] < 0.8 * each[0] for each in losses), losses


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
