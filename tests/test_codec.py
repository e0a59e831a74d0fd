"""The codec at every way of shortening time: lengths, padding, and streams that equal the whole."""

from __future__ import annotations

import math

import pytest
import torch

from muomni.config import TalkerConfig
from muomni.data.mel import FLOOR, MelStatistics
from muomni.models.codec import Codec, StreamingDecoder


def codec(downsample: int) -> Codec:
    torch.manual_seed(0)
    config = TalkerConfig(
        n_mels=8, n_codebooks=3, codebook_size=16, codec_d_model=12, codec_dim=6, downsample=downsample
    )
    model = Codec(config)
    model.set_statistics(MelStatistics(-3.0, 2.0, 1))
    return model.eval()


@pytest.mark.parametrize("downsample", [1, 2, 3, 4, 5, 6])
def test_a_clip_comes_back_as_long_as_it_was(downsample: int) -> None:
    model = codec(downsample)
    for length in (1, 7, 30):
        codes = model.encode(torch.randn(1, length, 8))
        assert codes.shape == (1, -(-length // downsample), 3)
        assert model.decode(codes).shape == (1, codes.shape[1] * downsample, 8)


@pytest.mark.parametrize("downsample", [1, 2, 3, 4, 5, 6])
def test_codes_do_not_depend_on_how_far_a_batch_is_padded(downsample: int) -> None:
    model, mel = codec(downsample), torch.randn(1, 23, 8)
    padded = torch.cat((mel, torch.randn(1, 17, 8)), 1)
    codes = model.encode(mel)
    assert torch.equal(model.encode(padded, torch.tensor([23]))[:, : codes.shape[1]], codes)


@pytest.mark.parametrize("downsample", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("chunk", [1, 2, 7, 40])
def test_a_stream_in_chunks_equals_the_whole(downsample: int, chunk: int) -> None:
    model = codec(downsample)
    codes = torch.randint(16, (40, 3))
    stream = StreamingDecoder(model)
    pieces = [stream.push(part) for part in codes.split(chunk)] + [stream.finish()]
    torch.testing.assert_close(torch.cat(pieces), model.decode(codes[None])[0], rtol=1e-4, atol=1e-4)
    assert sum(map(len, pieces[:-1])) == (40 - model.reach) * downsample  # the rest alone waits for the end


@pytest.mark.parametrize("downsample", [1, 2, 3, 4, 5, 6, 8, 12])
def test_the_decoder_looks_as_far_as_it_says_and_no_further(downsample: int) -> None:
    model = codec(downsample)
    codes = torch.randint(16, (1, 40, 3))
    changed = codes.clone()
    changed[0, 20] = (codes[0, 20] + 1) % 16
    moved = (model.decode(changed) - model.decode(codes))[0].abs().amax(1).nonzero().flatten()
    assert int((moved // downsample - 20).abs().max()) == model.reach


def test_an_empty_stream_gives_nothing() -> None:
    assert StreamingDecoder(codec(5)).finish().shape == (0, 8)


def test_behind_an_end_the_last_code_stands_for_silence() -> None:
    model = codec(5)
    torch.nn.init.zeros_(model.to_mel.weight)
    torch.nn.init.zeros_(model.to_mel.bias)  # whatever the codes, it says the set's mean
    mel = torch.full((2, 9, 8), -3.0)  # which is what is there, for 7 frames and for all 9
    with torch.no_grad():
        l1 = float(model.loss(mel, torch.tensor([7, 9])).l1)
    deviations = (-3.0 - math.log(FLOOR)) / 2.0
    assert l1 == pytest.approx((3 + 1) / 20 * deviations)  # behind 7 frames 3 are wrong, behind 9 one
