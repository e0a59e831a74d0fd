"""The omni model: what stands where, what sees what, one picture for many branches, and what is frozen."""

from __future__ import annotations

import pytest
import torch

from muomni.config import OmniSFTConfig
from muomni.data.chat import PER_SECOND, USER, Row
from muomni.data.tokenizer import Tokenizer
from muomni.infer.generate import generate
from muomni.infer.load import shipped
from muomni.models.checkpoint import TOKENIZER
from muomni.models.omni import OmniModel
from muomni.models.thinker import Thinker
from muomni.train.omni_data import collate
from muomni.train.omni_sft import OmniObjective

SMALL = dict(vocab_size=512, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_ff=48, ctx_len=96, dropout=0.0)
SMALL |= dict(audio_d_model=16, audio_layers=1, audio_heads=2, audio_d_ff=32, downsample=5, max_audio_seconds=2.0)
SMALL |= dict(img_size=16, patch=8, vision_d_model=16, vision_layers=1, vision_heads=2, vision_d_ff=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(shipped("thinker") / TOKENIZER)


@pytest.fixture(params=[False, True], ids=["plain", "token_shift"])
def model(request: pytest.FixtureRequest) -> OmniModel:
    torch.manual_seed(0)
    return OmniModel(OmniSFTConfig(**SMALL, token_shift=request.param)).eval()


def two_branches(tokenizer: Tokenizer, first: str, second: str) -> tuple[Row, list[int], dict]:
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    media = {("picture", 0): pixels, ("sound", 0): torch.randn(128, 30)}
    row = Row(tokenizer)
    row.begin()
    row.mark(USER)
    row.picture(("picture", 0), 4)
    trunk, at = row.document, row.at
    for text in (first, second):
        row.branch(trunk, at)
        row.sound(("sound", 0), 6, 0.08)
        row.text(text)
        row.answer("blue.")
    return row, [2, 2], media


def test_a_picture_is_one_moment_and_sound_goes_on_by_its_time(tokenizer: Tokenizer) -> None:
    row, _, _ = two_branches(tokenizer, "what color?", "and now?")
    picture, sound = row.media[0], row.media[1]
    patches = row.positions[picture.start : picture.start + 4]
    frames = row.positions[sound.start : sound.start + 6]
    assert len(set(patches)) == 1
    assert frames[5] - frames[0] == pytest.approx(5 * 0.08 * PER_SECOND)
    assert row.positions[sound.start + 6] == pytest.approx(frames[0] + 2)  # 0.48 s are 1.92 positions
    assert row.positions[picture.start + 4] == patches[0] + 1


def test_answers_alone_are_judged(tokenizer: Tokenizer) -> None:
    batch = collate([two_branches(tokenizer, "what color?", "and now?")], tokenizer.pad_id)
    judged = batch.targets[batch.targets >= 0].tolist()
    answer = [*tokenizer.encode(" blue."), tokenizer.special["<|end|>"]]
    assert judged == answer * 2 and batch.answers.max() == 1


def test_a_branch_sees_the_picture_and_itself_and_no_other_branch(model: OmniModel, tokenizer: Tokenizer) -> None:
    """So many questions in one row are answered as each would be alone."""
    both = collate([two_branches(tokenizer, "what color?", "where is the ring?")], tokenizer.pad_id)
    other = collate([two_branches(tokenizer, "how many?", "where is the ring?")], tokenizer.pad_id)
    n = int((both.rows.documents == 2).sum())
    with torch.no_grad():
        here, there = model.hidden(both.rows)[0, -n:], model.hidden(other.rows)[0, -n:]
    assert torch.allclose(here, there, atol=1e-5)
    changed = both.rows._replace(pictures=255 - both.rows.pictures)
    with torch.no_grad():
        assert not torch.allclose(here, model.hidden(changed)[0, -n:], atol=1e-3)


def test_a_branch_is_read_as_its_trunk_and_itself_alone(model: OmniModel, tokenizer: Tokenizer) -> None:
    both = collate([two_branches(tokenizer, "what color?", "where is the ring?")], tokenizer.pad_id).rows
    with torch.no_grad():
        embedded, here = model.embed(both), model.hidden(both)
        alone = both.documents[0] != 1
        there = model.thinker.hidden(embedded[:, alone], positions=both.positions[:, alone]).last
    assert torch.allclose(here[:, alone], there, atol=1e-5)


def test_what_is_heard_changes_what_is_said(model: OmniModel, tokenizer: Tokenizer) -> None:
    rows = collate([two_branches(tokenizer, "what?", "when?")], tokenizer.pad_id).rows
    with torch.no_grad():
        assert not torch.allclose(
            model.hidden(rows), model.hidden(rows._replace(sounds=rows.sounds.flip(2))), atol=1e-3
        )


def test_a_patch_stands_for_the_words_that_it_shows_more_than_its_picture_does(model: OmniModel) -> None:
    patches, pixels = torch.randn(2, 4, 16), torch.rand(2, 3, 16, 16) * 255
    with torch.no_grad():
        seen = model.words_seen(pixels, patches)
        likely = model.vision.named(pixels, patches).sigmoid()
        everywhere = sum(likely[1]) / 4
        by_hand = (likely[1][2] - everywhere) @ model.thinker.embedding.weight
        assert torch.allclose(seen[1, 2], by_hand, atol=1e-5)
        assert torch.allclose(seen.sum(1), torch.zeros(2, 32), atol=1e-4)


def test_a_patch_says_where_it_is_even_where_nothing_is_to_be_seen(model: OmniModel) -> None:
    """The ViT's tokens may have forgotten it, and all patches of a picture stand at one rotary position."""
    with torch.no_grad():
        model.vision_projector.out.weight.zero_()
        seen = model.see(torch.full((1, 3, 16, 16), 200.0))[0][0]  # of 2 x 2 patches, row by row
    rows, columns = model.row_places.detach(), model.column_places.detach()
    assert torch.allclose(seen[1], rows[0] + columns[1], atol=1e-3)
    assert torch.allclose(seen[2], rows[1] + columns[0], atol=1e-3)
    assert (seen[1] - seen[2]).abs().max() > 0.1


def test_the_whole_picture_is_told_by_its_mark(model: OmniModel, tokenizer: Tokenizer) -> None:
    rows = collate([two_branches(tokenizer, "what?", "when?")], tokenizer.pad_id).rows
    with torch.no_grad():
        silent = model.embed(rows)
        torch.nn.init.normal_(model.whole_projector.out.weight)
        told = model.embed(rows)
        whole = model.whole_projector(model.vision(rows.pictures).mean(1))[0]
    mark = int(rows.picture_places[0]) - 1
    assert tokenizer.special["<|image|>"] == rows.ids[0, mark]
    assert torch.allclose(told[0, mark] - silent[0, mark], whole, atol=1e-4)
    told[0, mark] = silent[0, mark]
    assert torch.equal(told, silent)


@pytest.mark.parametrize("part", ["thinker", "audio", "vision"])
def test_frozen_parts_have_no_gradient_and_trained_ones_do(part: str, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    config = OmniSFTConfig(**SMALL, **{f"train_{each}": each == part for each in ("thinker", "audio", "vision")})
    objective = OmniObjective(config)
    row, tasks, media = two_branches(tokenizer, "what color?", "and now?")
    batch = collate([(row, tasks, media)], tokenizer.pad_id)
    objective.train()(batch, objective.turns[0]).value.backward()
    for name, parameter in objective.model.named_parameters():
        trains = "projector" in name or "places" in name or name.startswith(part)
        assert parameter.requires_grad == trains
        assert parameter.grad is None or trains
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in getattr(objective.model, part).parameters())


def test_written_with_a_cache_the_answer_is_that_of_the_whole_row(model: OmniModel, tokenizer: Tokenizer) -> None:
    """Positions of pictures and sound are not the count of tokens; the cache goes on where they end."""
    row, _, media = two_branches(tokenizer, "what color?", "")
    row.cut((row.documents.index(2), 2, 1))
    batch = collate([(row, [], media)], tokenizer.pad_id)
    embedded, positions = model.embed(batch.rows)[0].detach(), batch.rows.positions[0]
    written = list(generate(model.thinker, embedded, positions=positions, max_new_tokens=12, temperature=0.0))
    whole, at = embedded, positions
    for token in written:
        with torch.no_grad():
            logits = model.thinker(whole[None], positions=at[None])[0, -1]
            assert int(logits.argmax()) == token
            whole = torch.cat((whole, model.thinker.embedding.weight[token][None]))
        at = torch.cat((at, at[-1:].floor() + 1))


def test_a_thinker_s_weights_fit_as_they_are(model: OmniModel) -> None:
    thinker = Thinker(model.config)  # type: ignore[arg-type]
    model.thinker.load_state_dict(thinker.state_dict())
