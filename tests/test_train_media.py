"""Training sets of sounds and pictures: what is kept, skipped and varied; the order of examples with lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from muomni.config import AudioEncConfig
from muomni.data.ctc import fits
from muomni.data.examples import Examples, Reader
from muomni.errors import UserError
from muomni.nn.padding import padded
from muomni.train import media
from muomni.train.audio_enc import varied
from muomni.train.media import Kept, PictureReader, dice, leave_out, tensor_bytes, vary_pictures
from muomni.train.order import Order, Place


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Thirty pictures, each of one grey; number 7 is cut short."""
    for n in range(30):
        Image.new("RGB", (16, 16), (n, n, n)).save(tmp_path / f"{n}.png")
    content = (tmp_path / "7.png").read_bytes()
    (tmp_path / "7.png").write_bytes(content[: len(content) - 30])
    (tmp_path / "words.csv").write_text("image,text\n" + "".join(f"{n}.png,{n}\n" for n in range(30)))
    return tmp_path / "words.csv"


def kept(manifest: Path) -> Kept[torch.Tensor]:
    examples = Examples.open(manifest, "image")
    return Kept(Reader(examples, PictureReader(16), max_skipped=0.2), np.arange(30), tensor_bytes)


def test_a_broken_file_is_counted_and_the_next_takes_its_place(manifest: Path) -> None:
    found = kept(manifest)
    at, example, pixels = found.read(7)
    assert (at, example.text, int(pixels[0, 0, 0])) == (8, "8", 8)
    assert found.reader.skipped.rows == 1
    assert found.read(8)[0] == 8


def test_what_was_read_is_kept_while_there_is_room(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "KEPT_BYTES", 3 * 16 * 16 * 2)  # two pictures
    found = kept(manifest)
    first = [found.read(index)[2] for index in (0, 1, 2)]
    again = [found.read(index)[2] for index in (0, 1, 2)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False]
    assert torch.equal(first[2], again[2])


def test_rows_that_do_not_fit_are_told_and_refused_when_common() -> None:
    some = np.array([True] * 97 + [False] * 3)
    assert leave_out(some, "are odd", "x.csv") == "3 of 100 rows of x.csv are odd: left out"
    assert leave_out(np.array([True]), "are odd", "x.csv") == ""
    for bad in (np.array([True] * 9 + [False]), np.array([False])):
        with pytest.raises(UserError, match=r"rows are odd \(at most 5% may\)"):
            leave_out(bad, "are odd", "x.csv")


def test_chance_depends_on_the_epoch_and_the_row_and_on_nothing_else() -> None:
    draws = [dice(3, Place(epoch, index)).integers(1 << 30) for epoch in (0, 1) for index in (0, 1)]
    assert len(set(draws)) == 4
    assert dice(3, Place(0, 1)).integers(1 << 30) == draws[1]


def test_padding_fills_up_behind() -> None:
    assert padded([[1, 2], [], [3]], -1).tolist() == [[1, 2], [-1, -1], [3, -1]]


def test_pictures_stay_where_nothing_varies_and_move_by_the_amounts() -> None:
    pixels = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    pixels[:, :, 14:18, 14:18] = 200
    still = vary_pictures(pixels, np.zeros((2, 7)))
    torch.testing.assert_close(still, pixels.float(), rtol=0, atol=0.01)
    amounts = np.zeros((2, 7))
    amounts[0, 3] = 0.25  # a quarter of half the side: 4 pixels
    moved = vary_pictures(pixels, amounts)
    columns = (moved[:, 0].sum(1) * torch.arange(32)).sum(1) / moved[:, 0].sum((1, 2))
    assert abs(float(columns[0] - columns[1])) == pytest.approx(4, abs=0.1)
    assert moved.min() >= 0 and moved.max() <= 255


@pytest.mark.parametrize("seed", range(20))
def test_a_varied_spectrum_still_fits_its_target_and_has_parts_hidden(seed: int) -> None:
    config = AudioEncConfig(n_mels=40, downsample=5, max_warp=0.3)
    target = [1, 1, 2, 3, 4, 4, 5]  # nine frames with the blanks between equal ones
    mel = torch.randn(40, 50)
    found = varied(mel, np.random.default_rng(seed), config, fill=-9.0, target=target)
    assert found.shape[0] == 40 and fits(target, found.shape[1] // 5)
    assert not torch.equal(found, mel) and torch.isfinite(found).all()


def test_without_warp_and_masks_nothing_changes() -> None:
    config = AudioEncConfig(n_mels=40, max_warp=0.0, time_masks=0, frequency_masks=0)
    mel = torch.randn(40, 50)
    assert torch.equal(varied(mel, np.random.default_rng(0), config, -9.0, [1]), mel)


def test_with_lengths_every_example_comes_once_an_epoch_in_batches_of_equal_length() -> None:
    lengths = tuple(float(n % 10) for n in range(400))
    order = Order(400, 10, seed=1, lengths=lengths)
    assert order.steps_per_epoch == 40
    for epoch in (0, 1):
        steps = [order.step_places(epoch * 40 + k) for k in range(40)]
        assert sorted(place.index for step in steps for place in step) == list(range(400))
        spread = [np.ptp([lengths[place.index] for place in step]) for step in steps]
        assert np.mean(spread) < 2
    assert order.step_places(0) != order.step_places(40)
    assert order.step_places(7) == Order(400, 10, seed=1, lengths=lengths).step_places(7)
