"""The reader: characters, the cache, greedy and beam reading."""

from __future__ import annotations

import itertools

import pytest
import torch

from muomni.config import OCRConfig
from muomni.errors import UserError
from muomni.infer.read import TrainedReader, caches, read_greedily, read_with_beam
from muomni.models.ocr import END, OCR

SMALL = OCRConfig(
    img_size=16,
    patch=8,
    vision_d_model=16,
    vision_layers=1,
    vision_heads=2,
    vision_d_ff=32,
    decoder_d_model=24,
    decoder_layers=2,
    decoder_heads=2,
    decoder_d_ff=48,
    n_characters=5,
    text_len=5,
    dropout=0.0,
)


def reader(seed: int = 0) -> OCR:
    torch.manual_seed(seed)
    model = OCR(SMALL).eval()
    model.set_characters("abc")
    return model


def pictures(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8)


def test_characters_come_back_and_unknown_ones_are_marked() -> None:
    model = reader()
    assert model.decode_text(model.encode_text("cab")) == "cab"
    assert model.decode_text(model.encode_text("cat")) == "ca\ufffd"


def test_more_characters_than_there_is_room_for_is_an_error_with_the_number_to_set() -> None:
    with pytest.raises(UserError, match=r"n_characters: is 5, but the texts have 4 .*at least 6"):
        reader().set_characters("abcd")


def test_cached_logits_are_those_of_the_whole_text() -> None:
    model, memory = reader(), torch.randn(3, 4, 16)
    inputs = torch.tensor([[0, 2, 3, 4], [0, 4, 4, 2], [0, 3, 2, 2]])
    full = model(inputs, memory)
    cache, memory_cache = caches(model, 4)
    parts = [
        model(inputs[:, start:end], memory, cache=cache, memory_cache=memory_cache)
        for start, end in ((0, 1), (1, 3), (3, 4))
    ]
    torch.testing.assert_close(torch.cat(parts, 1), full, rtol=1e-4, atol=1e-5)


def test_the_text_depends_on_the_picture_and_on_what_was_written_before() -> None:
    model, inputs = reader(), torch.tensor([[0, 2, 3]])
    one, other = (model(inputs, model.look(p[None])) for p in pictures(2))
    assert not torch.allclose(one, other)
    changed = model(torch.tensor([[0, 4, 3]]), model.look(pictures(1)))
    assert changed.shape == (1, 3, 5)


def test_what_comes_later_changes_nothing_before() -> None:
    model, memory = reader(), torch.randn(1, 4, 16)
    a, b = model(torch.tensor([[0, 2, 3]]), memory), model(torch.tensor([[0, 2, 4]]), memory)
    torch.testing.assert_close(a[:, :2], b[:, :2])


def log_prob(model: OCR, pixels: torch.Tensor, text: list[int]) -> float:
    """Of a whole text, its end included."""
    logits = model(torch.tensor([[END, *text]]), model.look(pixels[None]))[0].log_softmax(-1)
    return float(sum(logits[i, c] for i, c in enumerate([*text, END])))


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_of_all_texts(seed: int) -> None:
    model = reader(seed)
    pixels = pictures(1)[0]
    texts = [list(t) for n in range(SMALL.text_len) for t in itertools.product((1, 2, 3, 4), repeat=n)]
    best = max(texts, key=lambda text: log_prob(model, pixels, text))
    assert read_with_beam(model, pixels, width=500) == model.decode_text(best)


def test_reading_in_batches_is_reading_one_by_one() -> None:
    model, some = reader(3), pictures(5)
    together = read_greedily(model, some)
    assert together == [read_greedily(model, each[None])[0] for each in some]
    assert TrainedReader(model, folder=None).read(list(some)) == together  # type: ignore[arg-type]


def test_a_text_without_an_end_is_cut_at_text_len() -> None:
    model = reader()
    with torch.no_grad():
        model.embedding.weight[END] = 0.0  # the end never wins against a large positive logit
        model.norm.weight.fill_(1.0)
    assert all(len(text) <= SMALL.text_len for text in read_greedily(model, pictures(4)))


def test_ctc_reads_the_patches_column_by_column_and_leaves_out_texts_of_several_words() -> None:
    model = OCR(SMALL.model_copy(update={"ctc_weight": 1.0}))
    model.set_characters("ab ")
    a, b, space = model.encode_text("ab ")
    with torch.no_grad():
        model.ctc_head.weight.copy_(20 * torch.eye(16)[: SMALL.n_characters])
        model.ctc_head.bias.zero_()
    # Rows of patches: [a, end], [end, b]: by columns a, end, end, b.
    memory = torch.eye(16)[torch.tensor([[a, END, END, b]])]

    def loss(*text: int) -> float:
        return float(model.ctc_loss(memory, torch.tensor([[*text, END]])))

    assert loss(a, b) < 0.01
    assert loss(b, a) > 1
    assert loss(a, space, b) == 0
    swapped = memory[:, [0, 1, 3, 2]]  # by columns a, b, end, end
    assert float(model.ctc_loss(swapped, torch.tensor([[a, b, END]]))) < 0.01


def test_ctc_counts_in_training_only() -> None:
    pixels, inputs, targets = pictures(2), torch.tensor([[END, 2], [END, 3]]), torch.tensor([[2, END], [3, END]])
    losses = {}
    for weight in (0.5, 1.0):
        torch.manual_seed(0)
        model = OCR(SMALL.model_copy(update={"ctc_weight": weight}))
        losses[weight] = [float(model.train(mode).loss(pixels, inputs, targets)) for mode in (True, False)]
    assert losses[0.5][1] == losses[1.0][1]
    assert losses[1.0][0] - losses[1.0][1] == pytest.approx(2 * (losses[0.5][0] - losses[0.5][1]), rel=1e-4)
