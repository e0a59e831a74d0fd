"""The audio encoder: shapes and rates, padding that changes nothing, CTC's loss, greedy and beam decoding."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from muomni.config import AudioEncConfig
from muomni.data.mel import MelStatistics
from muomni.infer.listen import beam_search, greedy, stack_mels
from muomni.models.audio_encoder import AudioEncoder

SMALL = AudioEncConfig(vocab_size=300, d_model=32, n_layers=2, n_heads=2, d_ff=64, n_mels=16, downsample=5, dropout=0.0)


@pytest.fixture
def model() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(SMALL).eval()


@pytest.mark.parametrize("downsample", [1, 2, 4, 5, 6, 8, 15])
@pytest.mark.parametrize("frames", [1, 7, 40, 41])
def test_time_is_shortened_by_the_factor_rounded_up(downsample: int, frames: int) -> None:
    model = AudioEncoder(SMALL.model_copy(update={"downsample": downsample}))
    logits, n = model(torch.randn(2, 16, frames), torch.tensor([frames, max(1, frames // 2)]))
    assert logits.shape == (2, math.ceil(frames / downsample), SMALL.vocab_size + 1)
    assert n.tolist() == [math.ceil(frames / downsample), math.ceil(max(1, frames // 2) / downsample)]


def test_the_course_rates_are_twelve_and_a_half_states_a_second() -> None:
    assert 1 / AudioEncoder(SMALL).seconds_per_frame == pytest.approx(12.5)


def test_what_an_example_gives_does_not_depend_on_the_padding_of_its_batch(model: AudioEncoder) -> None:
    mels = [torch.randn(16, frames) * 3 - 5 for frames in (33, 101, 58)]
    model.set_statistics(MelStatistics(-5.0, 3.0, 1))
    together, n = model(*stack_mels(mels))
    for row, mel in enumerate(mels):
        alone, _ = model(*stack_mels([mel]))
        torch.testing.assert_close(together[row, : n[row]], alone[0], rtol=1e-4, atol=1e-5)


def test_statistics_travel_with_the_weights(model: AudioEncoder) -> None:
    model.set_statistics(MelStatistics(-4.5, 2.5, 1))
    other = AudioEncoder(SMALL)
    other.load_state_dict(model.state_dict())
    assert float(other.mel_mean) == -4.5 and float(other.mel_deviation) == 2.5


def spelled(frames: list[int], n_symbols: int) -> torch.Tensor:
    """Logits that say these symbols, frame by frame."""
    return 20.0 * torch.nn.functional.one_hot(torch.tensor(frames), n_symbols).float()


def test_greedy_decoding_merges_repetitions_and_drops_blanks_in_that_order() -> None:
    blank = 3
    logits = spelled([3, 0, 0, 3, 0, 1, 1, 2, 3], 4)[None]
    assert greedy(logits, torch.tensor([9]), blank) == [[0, 0, 1, 2]]
    assert greedy(logits, torch.tensor([3]), blank) == [[0]], "frames behind the end are not read"


def all_alignments(log_probs: torch.Tensor, blank: int) -> dict[tuple[int, ...], float]:
    """The probability of every text, by trying every alignment."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != blank)
        p = math.exp(sum(float(log_probs[t, symbol]) for t, symbol in enumerate(path)))
        found[text] = found.get(text, 0.0) + p
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_the_likeliest_text_over_all_alignments(seed: int) -> None:
    torch.manual_seed(seed)
    log_probs = torch.randn(5, 4).log_softmax(-1)
    chances = all_alignments(log_probs, blank=3)
    assert tuple(beam_search(log_probs, 3, width=200)) == max(chances, key=lambda text: chances[text])


def test_the_beam_finds_what_greedy_decoding_misses() -> None:
    """Blank is the likeliest symbol of both frames (0.6), but the text "0" has more alignments: 1 - 0.36."""
    log_probs = torch.tensor([[0.4, 0.6], [0.4, 0.6]]).log()
    assert greedy(log_probs[None], torch.tensor([2]), blank=1) == [[]]
    assert beam_search(log_probs, 1) == [0]


def test_the_loss_is_the_cost_of_all_alignments_for_each_piece(model: AudioEncoder) -> None:
    logits = torch.randn(1, 5, SMALL.vocab_size + 1)
    log_probs = logits[0].log_softmax(-1)
    few = torch.stack((log_probs[:, 7], log_probs[:, 9], log_probs[:, model.blank]), 1)
    exact = all_alignments(few, blank=2)[(0, 1)]
    loss = model.loss(logits, torch.tensor([5]), torch.tensor([[7, 9]]), torch.tensor([2]))
    assert float(loss) == pytest.approx(-math.log(exact) / 2, rel=1e-4)
