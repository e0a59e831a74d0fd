"""Stage D: codec and Talker by themselves, and what a trained pair says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_thinker import small_config

from muomni.config import TalkerConfig
from muomni.data.alignment import read_times, spread, token_starts
from muomni.data.mel import LogMel
from muomni.errors import UserError
from muomni.infer.generate import Sampling
from muomni.infer.speak import GREEDY, MOST_FRAMES, at_frames, speak, states_of
from muomni.infer.vocode import GriffinLim
from muomni.models.codec import Codec, StreamingDecoder
from muomni.models.talker import NOTHING, Script, Talker
from muomni.models.thinker import Thinker
from muomni.nn.cache import KVCache

SMALL = TalkerConfig(
    vocab_size=266,
    thinker_d_model=12,
    d_model=32,
    n_layers=2,
    n_heads=2,
    d_ff=64,
    n_mels=20,
    n_codebooks=3,
    codebook_size=16,
    codec_d_model=16,
    codec_blocks=1,
    codec_dim=8,
    predictor_d_model=16,
    n_speakers=2,
    dropout=0.0,
    code_noise=0.0,
)


def codec(seed: int = 0) -> Codec:
    torch.manual_seed(seed)
    return Codec(SMALL).eval()


def talker(seed: int = 0) -> Talker:
    torch.manual_seed(seed)
    return Talker(SMALL).eval()


def script(n_frames: int = 9, seed: int = 0, voice: int = 0) -> Script:
    torch.manual_seed(seed)
    tokens, states = torch.randint(0, 266, (3,)), torch.randn(3, 12)
    around, at, elapsed = at_frames(tokens, states, torch.tensor([0, 2, 5]), n_frames)
    return Script(around[None], at[None], elapsed[None], torch.tensor([voice]))


# The codec


@pytest.mark.parametrize("length", [1, 4, 5, 6, 23])
def test_a_code_stands_for_so_many_frames_whatever_the_padding(length: int) -> None:
    model, mel = codec(), torch.randn(1, length, 20)
    codes = model.encode(mel)
    assert codes.shape == (1, -(-length // 5), 3)
    assert model.decode(codes).shape == (1, 5 * codes.shape[1], 20)
    longer = torch.cat((mel, torch.randn(1, 17, 20)), 1)
    assert torch.equal(model.encode(longer, torch.tensor([length]))[:, : codes.shape[1]], codes)


def test_training_rebuilds_better_uses_the_codes_and_moves_every_part() -> None:
    """The trap of an RVQ that is never trained: its codebooks stayed as they were, 2 of 128 codes were used."""
    torch.manual_seed(0)
    model = Codec(SMALL)
    mels = torch.randn(4, 1, 20).cumsum(2).repeat(1, 60, 1) + torch.randn(4, 60, 20).cumsum(1) * 0.3
    n_frames = torch.full((4,), 60)
    begin = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.loss(mels, n_frames)
        loss.total.backward()
        optimizer.step()
        errors.append(float(loss.l1))
    assert errors[-1] < 0.5 * errors[0]
    assert all(len(loss.codes[..., book].unique()) > 5 for book in range(3))
    assert [name for name, p in model.named_parameters() if torch.equal(p, begin[name])] == []


@pytest.mark.parametrize("sizes", [[1] * 30, [7, 1, 15, 7], [30], [2, 28]])
def test_a_stream_is_decoded_to_what_decoding_at_once_gives(sizes: list[int]) -> None:
    model = codec()
    codes = torch.randint(0, 16, (sum(sizes), 3))
    stream = StreamingDecoder(model)
    parts = [stream.push(part) for part in codes.split(sizes)] + [stream.finish()]
    torch.testing.assert_close(torch.cat(parts), model.decode(codes[None])[0], rtol=1e-4, atol=1e-5)
    if len(sizes) > 20:
        assert sum(len(part) > 0 for part in parts) > 20


# Times of tokens


def test_pieces_share_their_words_time_by_their_letters() -> None:
    pieces = ["▁red", "▁tri", "angle", "."]
    times = read_times("0.16-0.40 0.40-1.30")
    # "tri", "angle" and "." share 0.9 s as 3 : 5 : 1; the first piece has the silence before it
    assert token_starts(pieces, times, 0.08, 20).tolist() == [0, 5, 9, 15]


def test_every_token_has_a_frame_of_its_own() -> None:
    assert spread(np.array([0, 0, 0, 7]), 9).tolist() == [0, 1, 2, 7]
    assert spread(np.array([3, 8, 8, 8]), 9).tolist() == [0, 6, 7, 8]


@pytest.mark.parametrize(
    ("pieces", "times", "n_frames", "problem"),
    [
        (["▁a", "▁b"], "0.1-0.2", 10, "has 2 words, but times of 1"),
        (["▁a", "b", "c"], "0.1-0.2", 2, "has 3 pieces in 2 frames"),
        ([], "0.1-0.2", 2, "has 0 words"),
        (["▁a"], "0.1", 2, "are no times"),
    ],
)
def test_times_that_do_not_fit_are_one_clear_error(pieces: list[str], times: str, n_frames: int, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        token_starts(pieces, read_times(times), 0.08, n_frames)


def test_frames_know_their_token_its_neighbours_and_its_time() -> None:
    tokens, states = torch.tensor([7, 8, 9]), torch.eye(3)
    around, at, elapsed = at_frames(tokens, states, torch.tensor([0, 2, 5]), 7)
    assert around.tolist() == [[NOTHING, 7, 8]] * 2 + [[7, 8, 9]] * 3 + [[8, 9, NOTHING]] * 2
    assert at.argmax(1).tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert elapsed.tolist() == [0, 1, 0, 1, 2, 0, 1]


# The Talker


def test_frame_by_frame_through_the_cache_is_all_at_once() -> None:
    model, of = talker(), script()
    before = torch.randint(0, 16, (1, 9, 3))
    before[:, 0] = NOTHING
    whole = model.hidden(of, before)
    cache = KVCache(2, 9)
    parts = [
        model.hidden(Script(*(part[:, t : t + 1] for part in of[:3]), of.voice), before[:, t : t + 1], cache)
        for t in range(9)
    ]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changed", ["tokens", "states", "elapsed", "voice"])
def test_what_is_said_depends_on_everything_it_is_told(changed: str) -> None:
    """The trap of a Talker that never sees the text."""
    model, of, before = talker(), script(), torch.randint(0, 16, (1, 9, 3))
    other = script(seed=1, voice=1)
    mixed = of._replace(**{changed: getattr(other, changed) + (changed == "elapsed")})
    assert not torch.allclose(model.hidden(of, before), model.hidden(mixed, before))


def test_a_frame_is_told_the_codes_of_the_frame_before_and_no_later_ones() -> None:
    model, of = talker(), script()
    codes = torch.randint(0, 16, (1, 9, 3))
    other = codes.clone()
    other[0, 5] = (codes[0, 5] + 1) % 16
    model.advance.weight.data.zero_()  # the loss is then of codes alone

    def losses(of_codes: torch.Tensor, n: int) -> float:
        return float(model.loss(Script(*(p[:, :n] for p in of[:3]), of.voice), of_codes[:, :n], torch.tensor([n]))[0])

    assert losses(codes, 5) == losses(other, 5)
    assert losses(codes, 6) != losses(other, 6)


def test_finer_codes_depend_on_the_coarser_ones_of_their_frame() -> None:
    model, h = talker(), torch.randn(1, 32)
    a, b = (model.finer_logits(h, torch.tensor([codes])) for codes in ([1, 2, 3], [2, 2, 3]))
    assert not torch.allclose(a[:, 0], b[:, 0])
    c = model.finer_logits(h, torch.tensor([[1, 2, 9]]))
    torch.testing.assert_close(a, c)  # the last book's own code is told to nobody


def test_one_clip_is_learned_exactly_and_said_again_with_its_times() -> None:
    """The trap of targets two frames ahead: an error of one frame anywhere, and this fails."""
    torch.manual_seed(0)
    model = Talker(SMALL)
    of, codes = script(14), torch.randint(0, 16, (1, 14, 3))
    tokens = torch.tensor([int(of.tokens[0, at, 1]) for at in (0, 2, 5)])
    states = of.states[0, [0, 2, 5]]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss, _ = model.loss(of, codes, torch.tensor([14]))
        loss.backward()
        optimizer.step()
    model.eval()
    assert torch.equal(model.follow(of, GREEDY), codes)
    said = torch.stack(list(speak(model, zip(tokens.tolist(), states, strict=True))))
    assert torch.equal(said, codes[0])  # the advance was learned too: as many frames, no more


def test_speaking_begins_before_the_text_ends_and_needs_one_token_ahead() -> None:
    model, asked = talker(), []

    def tokens() -> object:
        for number in range(4):
            asked.append(number)
            yield number, torch.zeros(12)

    stream = speak(model, tokens())  # type: ignore[arg-type]
    next(stream)
    assert asked == [0, 1]
    frames = 1 + sum(1 for _ in stream)
    assert 4 <= frames <= 4 * MOST_FRAMES


def test_a_token_that_never_advances_is_left_all_the_same() -> None:
    model = talker()
    model.advance.weight.data.zero_()
    assert sum(1 for _ in speak(model, [(1, torch.zeros(12)), (2, torch.zeros(12))])) == 2 * MOST_FRAMES


def test_drawing_depends_on_the_seed_alone() -> None:
    model, tokens = talker(), [(1, torch.zeros(12)), (2, torch.ones(12))]
    sampling = Sampling(temperature=1.0, top_k=8)
    a, b, c = (torch.stack(list(speak(model, tokens, 0, sampling, seed))[:5]) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_talker_knows_its_thinker_from_others() -> None:
    torch.manual_seed(0)
    thinker, other = Thinker(small_config()), Thinker(small_config())
    model = talker()
    model.set_thinker(thinker)
    assert model.knows(thinker) and not model.knows(other)


def test_the_thinkers_states_are_one_for_each_token_also_of_a_long_text() -> None:
    thinker = Thinker(small_config()).eval()
    n = thinker.config.ctx_len + 3
    assert states_of(thinker, [5] * n).shape == (n, thinker.config.d_model)


# Griffin-Lim


def test_griffin_lim_gives_the_mel_back_and_the_right_length() -> None:
    """The trap of a power mel inverted as a magnitude: 28 to 35 dB of error."""
    config = TalkerConfig()
    torch.manual_seed(0)
    time = torch.arange(16_000) / 16_000
    voiced = sum(torch.sin(2 * torch.pi * 130 * k * time) / k for k in range(1, 30))
    sound = 0.3 * voiced * (0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time)) + 0.01 * torch.randn(16_000)
    log_mel = LogMel(config)
    mel = log_mel(sound).T
    again = GriffinLim(config)(mel)
    assert len(again) == (len(mel) - 1) * config.hop_length
    loud = mel > mel.max() - 7
    decibels = 20 / np.log(10) * (log_mel(again).T - mel)[loud]
    assert decibels.square().mean().sqrt() < 8
    torch.testing.assert_close(GriffinLim(config)(mel, seed=3), GriffinLim(config)(mel, seed=3))
    assert len(GriffinLim(config)(mel[:1])) == 0
