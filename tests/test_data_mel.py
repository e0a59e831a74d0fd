"""The log-mel that every stage hears, against an independent computation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from muomni.data.mel import FLOOR, LogMel, MelStatistics, n_frames
from muomni.errors import UserError


@dataclass(frozen=True)
class Settings:
    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 128


MEL = LogMel(Settings())


def slaney_filters(settings: Settings) -> np.ndarray:
    """(n_mels, n_fft / 2 + 1): triangles, linear to 1 kHz and logarithmic above, each of area 2 / width in Hz."""

    def to_hz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, 200 / 3 * mel, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    top = settings.sample_rate / 2
    top_mel = 15 + np.log(top / 1000) / (np.log(6.4) / 27)
    corners = to_hz(np.linspace(0, top_mel, settings.n_mels + 2))
    frequencies = np.linspace(0, top, settings.n_fft // 2 + 1)
    rising = (frequencies - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - frequencies) / (corners[2:] - corners[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]


def log_mel_by_numpy(samples: np.ndarray, settings: Settings) -> np.ndarray:
    n, hop = settings.n_fft, settings.hop_length
    padded = np.pad(samples.astype(np.float64), n // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    starts = range(0, len(samples) // hop * hop + 1, hop)
    magnitudes = np.abs(np.fft.rfft([padded[at : at + n] * window for at in starts])).T
    return np.log(np.maximum(slaney_filters(settings) @ magnitudes, FLOOR))


@pytest.mark.parametrize("settings", [Settings(), Settings(hop_length=160), Settings(22_050, 512, 128, 80)])
def test_it_equals_an_independent_computation(settings: Settings) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)
    ours = LogMel(settings)(torch.from_numpy(samples)).numpy()
    expected = log_mel_by_numpy(samples, settings)
    assert ours.shape == expected.shape == (settings.n_mels, n_frames(5000, settings.hop_length))
    empty = slaney_filters(settings).sum(1) == 0  # filters narrower than a frequency bin
    assert np.abs(ours - expected)[~empty].max() < 2e-3  # single precision, beside the floor's edge


def test_silence_is_the_floor_and_short_sounds_have_a_frame() -> None:
    assert torch.allclose(MEL(torch.zeros(4000)), torch.tensor(FLOOR).log())
    for n_samples in (1, 255, 256, 511, 512):
        assert MEL(torch.zeros(n_samples)).shape == (128, n_samples // 256 + 1)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_the_filter_around_it(hertz: float) -> None:
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(16_000) / 16_000)
    loudest = int(MEL(tone)[:, 20].argmax())
    weight = slaney_filters(Settings())[loudest]
    center = (weight * np.linspace(0, 8000, 513)).sum() / weight.sum()
    assert center == pytest.approx(hertz, rel=0.06, abs=16)


def test_a_batch_equals_its_members() -> None:
    batch = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0)) / 10
    assert torch.allclose(MEL(batch), torch.stack([MEL(each) for each in batch]), atol=1e-4)


def test_under_autocast_nothing_is_lost() -> None:
    samples = torch.randn(4000, generator=torch.Generator().manual_seed(0)) / 100
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(MEL(samples), MEL(samples.clone()))
        assert MEL(samples).dtype == torch.float32


def test_statistics_normalize_and_come_back(tmp_path: Path) -> None:
    dice = torch.Generator().manual_seed(0)
    mels = [torch.randn(128, n, generator=dice) * 2 - 5 for n in (10, 200, 31)]
    statistics = MelStatistics.of(mels)
    everything = torch.cat(mels, dim=1)
    assert statistics.mean == pytest.approx(everything.mean().item(), abs=1e-5)
    assert statistics.deviation == pytest.approx(everything.std(correction=0).item(), abs=1e-5)
    assert statistics.frames == 241
    assert statistics.normalize(everything).std().item() == pytest.approx(1, abs=1e-3)
    assert torch.allclose(statistics.denormalize(statistics.normalize(mels[0])), mels[0], atol=1e-5)
    statistics.save(tmp_path / "mel.json")
    assert MelStatistics.load(tmp_path / "mel.json") == statistics


def test_statistics_of_nothing_and_of_silence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sound"):
        MelStatistics.of([])
    with pytest.raises(UserError, match="silent"):
        MelStatistics.of([torch.full((128, 9), -11.5)])
    for text in ("", "[]", '{"mean": 1}', '{"mean": 1, "deviation": 0, "frames": 3}', '{"mean": NaN, "deviation": 1}'):
        (tmp_path / "mel.json").write_text(text)
        with pytest.raises(UserError, match="no mel statistics"):
            MelStatistics.load(tmp_path / "mel.json")
