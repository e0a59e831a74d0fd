"""Reading sounds and pictures: every kind as it should be, every broken file in one clear line, never a hang."""

from __future__ import annotations

import csv
import io
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from muomni.data.mel import LogMel
from muomni.data.pictures import picture_size, read_picture
from muomni.data.sound import read_sound, sound_info
from muomni.errors import UserError
from tests.test_data_mel import Settings

REALITY = Path(__file__).parents[2] / "shared" / "reality"
RATE = 16_000
N_MUTATIONS = 30
"""Of each of eleven kinds of file."""


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_sound_of_any_rate_and_kind_comes_at_the_rate_asked_for(tmp_path: Path, rate: int, kind: str) -> None:
    soundfile.write(tmp_path / f"a.{kind}", tone(0.5, rate), rate)
    samples = read_sound(tmp_path / f"a.{kind}", RATE)
    assert samples.dtype == torch.float32 and samples.ndim == 1
    assert len(samples) == pytest.approx(RATE / 2, abs=2)
    expected = torch.from_numpy(tone(0.5, RATE))
    middle = slice(1000, 7000)
    assert (samples[middle] - expected[middle]).abs().max() < (0.05 if kind == "ogg" else 0.01)  # Ogg loses some
    assert sound_info(tmp_path / f"a.{kind}").seconds == pytest.approx(0.5, abs=1e-4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = tone(0.1, RATE)
    for n_channels, share in ((2, 1 / 2), (5, 1 / 5)):
        channels = np.zeros((len(left), n_channels), np.float32)
        channels[:, 0] = left
        soundfile.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
        assert torch.allclose(read_sound(tmp_path / "a.wav", RATE), torch.from_numpy(left * share), atol=1e-6)


def test_bad_sounds_are_refused_with_the_reason(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "inf.wav", np.array([0, np.inf, 0]), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "long.wav", np.zeros(RATE * 3), RATE)
    soundfile.write(tmp_path / "slow.wav", np.zeros(99), 100)
    (tmp_path / "text.wav").write_text("this is a text")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    problems = {
        "empty.wav": "holds no sound at all",
        "inf.wav": "holds numbers that are not finite",
        "long.wav": "is 3.0 s long, at most 2 s",
        "slow.wav": "has 100 samples a second",
        "text.wav": "is no sound that can be read",
        "folder.wav": "is a folder",
        "pipe.wav": "is not a plain file",
        "gone.wav": "does not exist",
    }
    for name, problem in problems.items():
        with pytest.raises(UserError, match=problem) as caught:
            read_sound(tmp_path / name, RATE, max_seconds=2)
        assert name in str(caught.value)


def checkered(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, (200, 0, 0))
    image.paste((0, 0, 200), (size[0] // 2, 0, *size))
    return image


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK", "I;16", "F"])
def test_every_mode_becomes_three_channels_of_bytes(tmp_path: Path, mode: str) -> None:
    image = checkered()
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 250)
    else:
        image = image.convert(mode)
    pixels = read_picture(save(image, tmp_path / ("a.tiff" if mode in ("CMYK", "F") else "a.png")))
    assert pixels.shape == (3, 20, 40) and pixels.dtype == torch.uint8
    left, right = pixels[:, :, :20].float().mean((1, 2)), pixels[:, :, 20:].float().mean((1, 2))
    assert (left - right).abs().max() > 15
    if mode in ("RGB", "RGBA", "P"):
        assert (left - torch.tensor([200.0, 0.0, 0.0])).abs().max() <= 60  # a palette has few colors


def test_alpha_lies_over_white(tmp_path: Path) -> None:
    path = save(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), tmp_path / "a.png")
    assert read_picture(path).min() == 255
    half = save(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), tmp_path / "b.png")
    assert read_picture(half).float().mean().item() == pytest.approx(127, abs=1)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0] * 256)
    assert read_picture(save(palette, tmp_path / "c.png", transparency=0)).min() == 255


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_stand_upright_as_exif_says(tmp_path: Path, turn: int) -> None:
    upright = checkered()
    back = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = upright if back is None else upright.transpose(back)
    pixels = read_picture(save(stored, tmp_path / "a.png", exif=exif))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(upright))


def test_fitting_a_square(tmp_path: Path) -> None:
    path = save(checkered((60, 20)), tmp_path / "a.png")
    stretched, cropped, padded = (read_picture(path, 32, fit=fit) for fit in ("stretch", "crop", "pad"))
    assert stretched.shape == cropped.shape == padded.shape == (3, 32, 32)
    assert stretched.int()[0, 16, 2] > 190 and stretched.int()[2, 16, 29] > 190
    assert padded[:, 2, 16].min() == 255 and padded[0, 16, 2] > 190
    assert cropped[:, 0, 0].tolist() == [200, 0, 0]
    assert read_picture(path, 32, mode="L").shape == (1, 32, 32)


def test_an_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_picture(tmp_path / "a.gif")[:, 0, 0].tolist() == [255, 0, 0]


def test_a_picture_that_claims_to_be_huge_is_refused_by_its_header(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, "PNG")
    data = bytearray(content.getvalue())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match=r"60,000 x 60,000 pixels|is no image"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("a text")
    with pytest.raises(UserError, match=r"text\.png: is no image that can be read"):
        picture_size(tmp_path / "text.png")


def samples_of_every_kind(folder: Path) -> list[Path]:
    noise = np.random.default_rng(0)
    paths = []
    for kind in ("wav", "flac", "ogg", "mp3", "aiff"):
        paths.append(folder / f"whole.{kind}")
        soundfile.write(paths[-1], noise.normal(0, 0.1, 3000), RATE)
    picture = Image.fromarray(noise.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff"):
        paths.append(save(picture, folder / f"whole.{kind}"))
    return paths


def mutated(data: bytes, dice: random.Random) -> bytes:
    broken = bytearray(data)
    way = dice.randrange(5)
    if way == 0:
        return bytes(broken[: dice.randrange(len(broken))])
    if way == 1:
        for _ in range(dice.randint(1, 20)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
    elif way == 2:  # lies in the header
        for _ in range(dice.randint(1, 8)):
            broken[dice.randrange(min(64, len(broken)))] = dice.choice((0, 255, 127, dice.randrange(256)))
    elif way == 3:
        at = dice.randrange(len(broken))
        broken[at : at + dice.randint(1, 200)] = b"\0" * dice.randint(0, 200)
    else:
        broken = broken[dice.randrange(1, len(broken)) :] + broken
    return bytes(broken)


def test_hundreds_of_broken_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    dice = random.Random(0)
    refused = tried = 0
    for whole in samples_of_every_kind(tmp_path):
        data = whole.read_bytes()
        for _ in range(N_MUTATIONS):
            broken = tmp_path / f"broken{whole.suffix}"
            broken.write_bytes(mutated(data, dice))
            tried += 1
            try:
                if whole.suffix in (".wav", ".flac", ".ogg", ".mp3", ".aiff"):
                    found = read_sound(broken, RATE)
                    assert found.ndim == 1 and len(found) and bool(torch.isfinite(found).all())
                else:
                    assert read_picture(broken, 16).shape == (3, 16, 16)
            except UserError as error:
                refused += 1
                assert "\n" not in str(error) and str(broken) in str(error)
    assert tried == 330 and refused > 100


def test_real_speech_loads_and_gives_mels_of_the_right_length() -> None:
    if not REALITY.is_dir():
        pytest.skip("the folder of real recordings is not there")
    mel = LogMel(Settings())
    with (REALITY / "speech.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 100
    for row in rows:
        samples = read_sound(REALITY / row["path"], RATE)
        assert len(samples) / RATE == pytest.approx(float(row["seconds"]), abs=0.02)
        found = mel(samples)
        assert found.shape == (128, len(samples) // 256 + 1) and bool(torch.isfinite(found).all())
