"""The vision encoder: patches in their places, the contrastive loss by hand, what each patch adds."""

from __future__ import annotations

import math

import pytest
import torch

from muomni.config import VisionConfig
from muomni.infer.look import TrainedLooker, caption_batch
from muomni.models.vision_encoder import LARGEST_SCALE, VisionModel

SMALL = VisionConfig(
    img_size=32,
    patch=8,
    d_model=16,
    n_layers=2,
    n_heads=2,
    d_ff=32,
    embed_dim=8,
    vocab_size=300,
    text_d_model=16,
    text_layers=1,
    text_heads=2,
    text_d_ff=32,
    dropout=0.0,
)


@pytest.fixture
def model() -> VisionModel:
    torch.manual_seed(0)
    return VisionModel(SMALL).eval()


def batch(n: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8)
    return pixels, *caption_batch([[10 + i, 20, 30 + i][: 1 + i % 3] for i in range(n)])


@pytest.mark.parametrize("patch", [2, 4, 8, 1, 5])
def test_a_token_stands_for_the_patch_in_its_row_and_column(patch: int) -> None:
    torch.manual_seed(0)
    model = VisionModel(SMALL.model_copy(update={"patch": patch, "img_size": 4 * patch}))
    pixels = torch.zeros(1, 3, 4 * patch, 4 * patch)
    changed = pixels.clone()
    changed[:, :, patch : 2 * patch, 3 * patch :] = 255  # row 1, column 3 of 4
    with torch.no_grad():
        moved = (model.vision.stem(changed) - model.vision.stem(pixels)).norm(dim=-1)[0].unflatten(0, (4, 4))
    assert moved[1, 3] > 0 and (patch % 2 or moved.argmax() == 1 * 4 + 3)
    assert (moved[:, 0] == 0).all() and moved[3, 3] == 0, "patches farther than a neighbour are not seen"


def test_the_loss_is_the_surprise_of_the_right_pair_both_ways(model: VisionModel) -> None:
    pixels, ids, real = batch()
    with torch.no_grad():
        pictures, texts = model.embed_pictures(pixels), model.embed_texts(ids, real)
        chances = [[math.exp(float(model.scale * p @ t)) for t in texts] for p in pictures]
        loss = float(model.contrast(pictures, ids, real))
    rows = [-math.log(chances[i][i] / sum(chances[i])) for i in range(5)]
    columns = [-math.log(chances[i][i] / sum(row[i] for row in chances)) for i in range(5)]
    assert loss == pytest.approx((sum(rows) + sum(columns)) / 10, rel=1e-4)


def test_a_caption_that_stands_twice_in_the_batch_is_not_held_against_its_twin(model: VisionModel) -> None:
    pixels, ids, real = batch(2)
    ids, real = ids[:1].expand(2, -1), real[:1].expand(2, -1)
    assert float(model.contrast(model.embed_pictures(pixels), ids, real)) == pytest.approx(0, abs=1e-6)


def test_the_words_loss_asks_each_picture_about_every_piece_of_the_batch(model: VisionModel) -> None:
    pixels, ids, real = batch()
    with torch.no_grad():
        tokens = model.vision(pixels)
        loss = float(model.word_loss(tokens, ids, real))
        says = model.vision.head(tokens)
        both = float(model.contrast(model.whole(tokens), ids, real)) + SMALL.word_weight * loss
        assert float(model.loss(pixels, ids, real)) == pytest.approx(both, rel=1e-5)
    nats = 0.0
    for patches, pieces, stands in zip(says.tolist(), ids.tolist(), real.tolist(), strict=True):
        own = {piece for piece, counts in zip(pieces, stands, strict=True) if counts}
        for piece in set(ids.flatten().tolist()):  # of which 0 is padding: in no caption
            odds = sum(math.exp(patch[piece]) for patch in patches) / len(patches)
            nats -= math.log(odds / (1 + odds) if piece in own else 1 / (1 + odds))
    assert loss == pytest.approx(nats / 5, rel=1e-4)


def test_padding_behind_a_caption_changes_nothing(model: VisionModel) -> None:
    with torch.no_grad():
        alone = model.embed_texts(*caption_batch([[5, 6, 7]]))
        beside = model.embed_texts(*caption_batch([[5, 6, 7], [1] * 20]))[:1]
    torch.testing.assert_close(alone, beside, rtol=1e-4, atol=1e-5)


def test_what_the_patches_add_sums_to_the_likeness(model: VisionModel) -> None:
    pixels, ids, real = batch()
    parts = model.relevance(pixels, ids, real)
    likeness = (model.embed_pictures(pixels) * model.embed_texts(ids, real)).sum(-1)
    assert parts.shape == (5, 4, 4)
    torch.testing.assert_close(parts.sum((1, 2)), likeness, rtol=1e-4, atol=1e-5)


def test_attention_maps_are_shares_and_those_that_the_blocks_use(model: VisionModel) -> None:
    pixels, *_ = batch(2)
    maps = model.vision.attention_maps(pixels)
    assert maps.shape == (2, 2, 2, 16, 16)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 2, 16))
    block = model.vision.blocks[0]
    normed = block.attention_norm(model.vision.embed(pixels))
    values = block.attention.value(normed).unflatten(-1, (2, 8)).transpose(1, 2)
    by_hand = block.attention.output((maps[:, 0] @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(by_hand, block.attention(normed), rtol=1e-4, atol=1e-5)


def test_the_scale_is_bounded_and_may_be_fixed() -> None:
    fixed = VisionModel(SMALL.model_copy(update={"learn_temperature": False}))
    assert not fixed.log_scale.requires_grad and float(fixed.scale) == pytest.approx(1 / SMALL.temperature, rel=1e-5)
    fixed.log_scale.data.fill_(20.0)
    assert float(fixed.scale) == LARGEST_SCALE


def test_the_right_caption_is_likelier_after_a_few_steps_and_a_shuffled_one_is_not() -> None:
    torch.manual_seed(0)
    model = VisionModel(SMALL)
    pixels, ids, real = batch(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(pixels, ids, real).backward()
        optimizer.step()
    with torch.no_grad():
        right = float(model.loss(pixels, ids, real))
        shuffled = float(model.loss(pixels, ids.roll(1, 0), real.roll(1, 0)))
    assert right < 0.5 < shuffled


def test_pictures_of_other_sizes_are_scaled_and_long_captions_cut(model: VisionModel) -> None:
    class Words:
        def encode_batch(self, texts: list[str]) -> list[list[int]]:
            return [[7] * len(text) for text in texts]

    looker = TrainedLooker(model, Words(), None)  # type: ignore[arg-type]
    ids, real = looker.caption_ids(["a" * 500, "bb"])
    assert ids.shape == (2, SMALL.text_len) and real.sum(1).tolist() == [SMALL.text_len, 2]
    found = looker.choose(torch.zeros(3, 32, 32), ["a", "bb", "ccc"])
    assert sum(chance for _, chance in found) == pytest.approx(1, abs=1e-5)
    assert [chance for _, chance in found] == sorted((chance for _, chance in found), reverse=True)
