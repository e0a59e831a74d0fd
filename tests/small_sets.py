"""Small archives in the layouts of the real sets, and a catalogue that fetches them from a host of the tests."""

import bz2
import dataclasses
import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import soundfile
from data_server import Host
from PIL import Image

from muomni.data.download.entry import RealSet, RemoteFile
from muomni.data.download.sets import CATALOGUE

Files = dict[str, bytes]


def sound(seconds: float = 0.1, rate: int = 16000, kind: str = "WAV") -> bytes:
    target = io.BytesIO()
    soundfile.write(target, np.zeros(int(seconds * rate), np.int16) + 5, rate, format=kind)
    return target.getvalue()


def picture(shade: int = 100, kind: str = "JPEG", size: int = 8) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), shade, np.uint8)).save(target, kind)
    return target.getvalue()


def zipped(files: Files) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def tarred(files: Files, packing: str = "gz") -> bytes:
    """A tar of `files`, the same bytes in every process."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    plain = target.getvalue()
    return {"gz": lambda: gzip.compress(plain, mtime=0), "bz2": lambda: bz2.compress(plain), "": lambda: plain}[
        packing
    ]()


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def _array(flags: int, shape: tuple[int, int], name: str, *contents: bytes) -> bytes:
    head = _element(6, struct.pack("<II", flags, 0)) + _element(5, struct.pack("<ii", *shape))
    return _element(14, head + _element(1, name.encode()) + b"".join(contents))


def matlab_struct(name: str, rows: list[dict[str, str]], compressed: bool = True) -> bytes:
    """A MATLAB 5 file with one struct array of texts, as IIIT 5K-Word's labels are."""
    fields = list(rows[0])
    names = _element(1, b"".join(field.encode().ljust(32, b"\0") for field in fields))
    texts = [
        _array(4, (1, len(row[field])), "", _element(4, row[field].encode("utf-16-le")))
        for row in rows
        for field in fields
    ]
    small = struct.pack("<HHi", 5, 4, 32)  # a small element: type and count in the first four bytes
    data = _array(2, (1, len(rows)), name, small, names, *texts)
    if compressed:
        packed = zlib.compress(data)
        data = struct.pack("<II", 15, len(packed)) + packed
    return b"MATLAB 5.0 MAT-file".ljust(124, b" ") + struct.pack("<H", 0x0100) + b"IM" + data


def _stories() -> list[bytes]:
    return [b"One day, Ann saw\na red ball.\n<|endoftext|>\n\nBen ran.\nHe fell.\n<|endoftext|>\nThe end."]


def _wikitext() -> list[bytes]:
    text = " \n = First = \n \n A well @-@ known cat , aged 1 @,@ 000 . \n \n = = Part = = \n \n More . \n"
    text += " \n = Second = \n \n A dog . \n"
    files = {f"wikitext-2-raw/wiki.{part}.raw": text.encode() for part in ("train", "valid", "test")}
    return [zipped(files)]


def _flickr8k() -> list[bytes]:
    names = ["1_a.jpg", "2_b.jpg", "3_c.jpg", "4_d.jpg"]
    images = {f"Flicker8k_Dataset/{name}": picture(50 * n) for n, name in enumerate(names)}
    images["__MACOSX/Flicker8k_Dataset/._1_a.jpg"] = b"x"
    lines = [f"{name}#{n}\tA {name[2]} caption , number {n} ." for name in names for n in range(5)]
    text = {"Flickr8k.token.txt": "\n".join(lines).encode(), "Flickr_8k.testImages.txt": b"3_c.jpg\n"}
    return [zipped(images), zipped(text | {"Flickr_8k.trainImages.txt": b"1_a.jpg\n2_b.jpg\n"})]


def _coco() -> list[bytes]:
    names = {17: "000000000017.jpg", 9: "000000000009.jpg"}
    found = {
        "images": [{"id": number, "file_name": name} for number, name in names.items()],
        "annotations": [
            {"image_id": n, "id": n * 10 + k, "caption": f"Scene {n}, {k}."} for n in names for k in (1, 2)
        ],
    }
    notes = {"annotations/captions_val2017.json": json.dumps(found).encode(), "annotations/instances.json": b"{}" * 9}
    return [zipped({f"val2017/{name}": picture() for name in names.values()}), zipped(notes)]


def _librispeech() -> list[bytes]:
    files: Files = {"LibriSpeech/BOOKS.TXT": random.Random(0).randbytes(200_000)}  # long enough to be cut
    for reader, chapter in ((84, 121123), (174, 50561)):
        at = f"LibriSpeech/dev-clean/{reader}/{chapter}"
        lines = []
        for number in range(6):
            files[f"{at}/{reader}-{chapter}-{number:04d}.flac"] = sound(kind="FLAC")
            lines.append(f"{reader}-{chapter}-{number:04d} GO, DO YOU HEAR {number}")
        files[f"{at}/{reader}-{chapter}.trans.txt"] = "\n".join(lines).encode()
    return [tarred(files)]


def _speech_commands() -> list[bytes]:
    files: Files = {"./README.md": b"", "./_background_noise_/noise.wav": sound()}
    for word in ("yes", "stop"):
        for speaker in ("004ae714", "00f0204f"):
            files[f"./{word}/{speaker}_nohash_0.wav"] = sound()
    files["./testing_list.txt"] = b"stop/00f0204f_nohash_0.wav\n"
    files["./validation_list.txt"] = b"yes/004ae714_nohash_0.wav\n"
    return [tarred(files)]


def _yesno() -> list[bytes]:
    names = ("0_1_0_0_1_1_0_1", "1_1_1_1_1_1_1_1")
    return [tarred({f"waves_yesno/{name}.wav": sound(rate=8000) for name in names} | {"waves_yesno/README": b"hello"})]


def _ljspeech() -> list[bytes]:
    lines = [f'LJ001-{n:04d}|Printing, in "{n}" ways|Printing, in "number {n}" ways' for n in range(1, 5)]
    files = {f"LJSpeech-1.1/wavs/LJ001-{n:04d}.wav": sound(rate=22050) for n in range(1, 5)}
    return [tarred(files | {"LJSpeech-1.1/metadata.csv": "\n".join(lines).encode()}, "bz2")]


def _libritts() -> list[bytes]:
    at = "LibriTTS/dev-clean/84/121123/84_121123_000007_000001"
    files = {f"{at}.wav": sound(rate=24000), f"{at}.normalized.txt": b"Go, do you hear?"}
    return [tarred(files | {f"{at}.original.txt": b"Go, do you hear?"})]


def _iiit5k() -> list[bytes]:
    rows = [
        {"ImgName": f"train/{n}_1.png", "GroundTruth": word, "smallLexi": "A"} for n, word in ((1, "SHOP"), (2, "B"))
    ]
    files = {f"IIIT5K/train/{n}_1.png": picture(kind="PNG") for n in (1, 2)}
    return [tarred(files | {"IIIT5K/traindata.mat": matlab_struct("traindata", rows)})]


def _mnist() -> list[bytes]:
    pixels = np.arange(20 * 28 * 28, dtype=np.uint32).astype(np.uint8)
    images = struct.pack(">IIII", 0x803, 20, 28, 28) + pixels.tobytes()
    labels = struct.pack(">II", 0x801, 20) + bytes(n % 10 for n in range(20))
    return [gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0)]


SMALL: dict[str, Callable[[], list[bytes]]] = {
    "tinystories-small": _stories,
    "wikitext-2": _wikitext,
    "flickr8k": _flickr8k,
    "coco-val2017": _coco,
    "librispeech-dev-clean": _librispeech,
    "speech-commands": _speech_commands,
    "yesno": _yesno,
    "ljspeech": _ljspeech,
    "libritts-dev-clean": _libritts,
    "iiit5k": _iiit5k,
    "mnist": _mnist,
}
"""The archives of each set, in the order of its files."""


def on_host(host: Host, name: str, contents: list[bytes] | None = None, published: bool = True) -> RealSet:
    """The catalogue's entry `name`, its files put on `host`, with their own sizes and checksums."""
    real = next(one for one in CATALOGUE if one.name == name)
    contents = SMALL[name]() if contents is None else contents
    files = []
    for file, data in zip(real.files, contents, strict=True):
        host.files[f"/{name}/{file.name}"] = data
        checksum = hashlib.sha256(data).hexdigest() if published else None
        files.append(
            RemoteFile(
                (f"{host.url}/{name}/{file.name}",), len(data), sha256=checksum, exact=file.exact, wanted=file.wanted
            )
        )
    return dataclasses.replace(real, files=tuple(files), unpacked=max(1 << 20, sum(map(len, contents))))


def catalogue(host: Host) -> tuple[RealSet, ...]:
    """All sets of the catalogue that have a small form, on `host`."""
    return tuple(on_host(host, name) for name in SMALL)
