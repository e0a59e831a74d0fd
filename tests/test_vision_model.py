"""The vision encoder: patches in their places, the contrastive loss by hand, what each patch adds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from muomni.config import VisionConfig
from muomni.data.world.picture import FIELD, draw
from muomni.data.world.scene import scene
from muomni.infer.load import load_looker, shipped
from muomni.infer.look import TrainedLooker, caption_batch
from muomni.models.vision_encoder import LARGEST_SCALE, VisionModel, contrast

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
        loss = float(model.word_loss(pixels, tokens, ids, real))
        says, shows = model.vision.head(tokens), contrast(pixels, SMALL.patch)
        both = float(model.contrast(model.whole(tokens), ids, real)) + SMALL.word_weight * loss
        assert float(model.loss(pixels, ids, real)) == pytest.approx(both, rel=1e-5)
    nats = 0.0
    for patches, weights, pieces, stands in zip(*(each.tolist() for each in (says, shows, ids, real)), strict=True):
        own = {piece for piece, counts in zip(pieces, stands, strict=True) if counts}
        for piece in set(ids.flatten().tolist()):  # of which 0 is padding: in no caption
            odds = sum(w * math.exp(patch[piece]) for w, patch in zip(weights, patches, strict=True)) / sum(weights)
            nats -= math.log(odds / (1 + odds) if piece in own else 1 / (1 + odds))
    assert loss == pytest.approx(nats / 5, rel=1e-4)


def test_a_patch_shows_as_much_as_its_pixels_differ() -> None:
    pixels = torch.full((2, 3, 16, 16), 100.0)
    pixels[0, :, :8, 8:] = torch.tensor([90.0, 110.0]).repeat(32).view(8, 8)  # half as much as the next
    pixels[0, :, 8:, 8:] = torch.tensor([80.0, 120.0]).repeat(32).view(8, 8)
    shows = contrast(pixels, 8)
    torch.testing.assert_close(shows[0], torch.tensor([1e-6, 0.5, 1e-6, 1.0]))
    torch.testing.assert_close(shows[1], torch.full((4,), 1e-6))  # nothing is to be seen anywhere


def test_an_empty_patch_names_nothing_whatever_its_score(model: VisionModel) -> None:
    pixels = torch.full((1, 3, SMALL.img_size, SMALL.img_size), 200.0)
    pixels[:, :, : SMALL.patch, : SMALL.patch] = torch.rand(SMALL.patch, SMALL.patch) * 255
    with torch.no_grad():
        model.vision.head.bias.fill_(5.0)
        sure = model.vision.named(pixels, model.vision(pixels)).sigmoid()[0]
    assert sure[0].mean() > 0.5 and sure[1:].max() < 0.1


def test_with_a_window_a_patch_knows_its_neighbors_only() -> None:
    pixels, *_ = batch(1)
    changed = pixels.clone()
    changed[:, :, -SMALL.patch :, -SMALL.patch :] = 255 - changed[:, :, -SMALL.patch :, -SMALL.patch :]
    moved = {}
    for window in (1, 0):
        torch.manual_seed(0)
        vision = VisionModel(SMALL.model_copy(update={"attention_window": window, "n_layers": 1})).vision.eval()
        with torch.no_grad():
            moved[window] = (vision(pixels) - vision(changed)).abs().amax(-1)[0] > 0
    grid = moved[1].view(4, 4)  # one block, and the stem reaches one patch as well
    assert bool(grid[2:, 2:].all()) and not bool(grid[0].any()) and not bool(grid[:, 0].any())
    assert bool(moved[0].all())


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
    torch.testing.assert_close(by_hand, block.attention(normed, bias=model.vision.near), rtol=1e-4, atol=1e-5)


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
    for _ in range(90):
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


def test_the_shipped_model_names_shapes_where_they_are() -> None:
    looker = load_looker(shipped("vision"))
    vision, side = looker.model.vision, looker.model.vision.grid
    right, asked = 0, 0
    for record in (scene(3, number) for number in range(400)):
        shapes = [thing.shape for thing in record.objects]
        if record.kind != "row":
            continue
        pixels = torch.from_numpy(np.array(draw(record, 64))).permute(2, 0, 1)[None]
        with torch.no_grad():
            named = vision.named(pixels, vision(pixels))[0]  # (N, V)
        for thing in record.objects:
            if shapes.count(thing.shape) > 1:
                continue
            best = int(named[:, looker.tokenizer.encode(f"a {thing.shape}")[1]].argmax())
            x, y = (best % side + 0.5) / side, (best // side + 0.5) / side
            away = [math.hypot(0.5 + (o.x - 0.5) * FIELD - x, o.y * FIELD - y) for o in record.objects]
            right += record.objects[away.index(min(away))] is thing
            asked += 1
    assert asked > 40
    assert right / asked > 0.95  # by chance a third
