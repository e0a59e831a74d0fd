"""`muomni data download` against a host that cuts, lies, forgets and changes its files; every set in its own layout."""

import csv
import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from data_server import Host, serving
from small_sets import SMALL, catalogue, on_host, tarred

from muomni.cli import main
from muomni.data.download import fetch, sets, transfer
from muomni.data.download.convert import LAYOUTS
from muomni.data.download.entry import RealSet, RemoteFile
from muomni.data.manifests import read_rows
from muomni.data.production import KINDS
from muomni.errors import UserError

LIBRI = "librispeech-dev-clean"
MANY = 100_000


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    with serving() as host:
        monkeypatch.setattr(sets, "CATALOGUE", catalogue(host))
        yield host


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> tuple[str, str]:
    assert main(["data", "download", *argv]) == code, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out, err


def get(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> dict[str, Any]:
    kind = next(one.kind for one in sets.CATALOGUE if one.name == name)
    out, _ = run(capsys, kind, "--set", name, "--yes", "--json", *more)
    found: dict[str, Any] = json.loads(out)
    return found


def refused(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> str:
    """One line of error after the lines that name the set."""
    kind = next(one.kind for one in sets.CATALOGUE if one.name == name)
    _, err = run(capsys, kind, "--set", name, "--yes", *more, code=1)
    assert len(err.splitlines()) == 1 and err.endswith("\n")
    return err


def table(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def noise(size: int = MANY) -> bytes:
    return random.Random(0).randbytes(size)


def remote(host: Host, data: bytes, **changes: Any) -> RemoteFile:
    host.files["/file.bin"] = data
    file = RemoteFile((f"{host.url}/file.bin",), len(data), sha256=hashlib.sha256(data).hexdigest())
    return dataclasses.replace(file, **changes)


# The catalogue.


@pytest.mark.parametrize("one", sets.CATALOGUE, ids=lambda one: one.name)
def test_every_set_is_described_whole(one: RealSet) -> None:
    assert one.kind in KINDS and one.layout in LAYOUTS and one.about and one.licence
    assert one.licence_url.startswith("http") and one.homepage.startswith("https://")
    assert 0 < one.bytes < sets.LARGEST == 5 * 10**9 and one.unpacked > 0 and one.files
    for file in one.files:
        assert all(url.startswith("https://") and url.endswith(file.name) for url in file.urls)
        assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16) > 0)
        assert file.md5 is None or (len(file.md5) == 32 and int(file.md5, 16) > 0)
        assert file.sha256 or file.md5 or file.exact  # something shows a wrong file
    assert one.name == one.name.lower() and not set(one.name) & set("/\\ .:")


def test_each_kind_has_one_default_and_no_name_is_there_twice() -> None:
    names = [one.name for one in sets.CATALOGUE]
    assert len(names) == len(set(names))
    for kind in KINDS:
        assert [one.default for one in sets.sets_of(kind)].count(True) == 1
    assert set(LAYOUTS) == {one.layout for one in sets.CATALOGUE}
    assert set(SMALL) >= {one.name for one in sets.CATALOGUE if one.default}


def test_checksums_are_those_of_torchaudio_and_torchvision() -> None:
    from torchaudio.datasets import librispeech, libritts, ljspeech, speechcommands, yesno
    from torchvision.datasets import MNIST

    known = {Path(url).name: hash for url, hash in speechcommands._CHECKSUMS.items()}
    for release in (ljspeech._RELEASE_CONFIGS, yesno._RELEASE_CONFIGS):
        known[Path(release["release1"]["url"]).name] = release["release1"]["checksum"]
    slr = {12: librispeech._CHECKSUMS, 60: libritts._CHECKSUMS}
    md5 = dict(MNIST.resources)
    checked = 0
    for file in (file for one in sets.CATALOGUE for file in one.files):
        corpus = next((n for n in slr if f"/resources/{n}/" in file.urls[0]), None)
        if corpus is not None:
            assert file.sha256 == slr[corpus][f"http://www.openslr.org/resources/{corpus}/{file.name}"]
        elif file.name in md5:
            assert file.md5 == md5[file.name]
        elif file.name in known:
            assert file.sha256 == known[file.name]
        else:
            continue
        checked += 1
    assert checked == 8


def test_the_list_shows_size_and_licence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "--list")
    for one in sets.CATALOGUE:
        line = next(line for line in out.splitlines() if f" {one.name} " in line)
        assert one.licence in line and (" MB " in line or " GB " in line)
    out, _ = run(capsys, "asr", "--list")
    assert "337.9 MB" in out and "CC BY 4.0" in out and "ljspeech" not in out
    found = json.loads(run(capsys, "ocr", "--list", "--json")[0])
    assert [one["name"] for one in found] == ["iiit5k", "mnist"] and found[0]["licence_url"]
    assert not list(here.iterdir())


# Asking first.


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["asr", "--set", "librispech-dev-clean"], 'Did you mean "librispeech-dev-clean"?'),
        (["asr", "--set", "xyz"], "There are: librispeech-dev-clean"),
        (["asr", "--set", "ljspeech"], "muomni data download tts --set ljspeech"),
        (["video"], "invalid choice: 'video'"),
        ([], "what to download is missing"),
        (["asr", "--limit", "0"], "--limit: is 0"),
        (["asr", "--limit", "few"], "no whole number"),
    ],
)
def test_a_command_typed_wrongly_is_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    out, err = run(capsys, *argv, code=2)
    assert said in err and out == "" and len(err.splitlines()) == 1 and not list(here.iterdir())


def test_without_agreement_nothing_is_fetched(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "asr", code=2)  # pytest's standard input is no terminal
    assert "CC BY 4.0 (https://" in out and " MB to fetch" in out
    assert "--yes" in err and len(err.splitlines()) == 1
    assert host.asked == [] and not list(here.iterdir())


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("\n", 2), ("", 2), ("y\n", 0), ("YES\n", 0)])
def test_at_a_terminal_it_asks(
    host: Host,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            assert host.asked == []  # before the first byte
            return True

        def readline(self) -> str:
            return answer

    monkeypatch.setattr(sys, "stdin", Terminal())
    out, _ = run(capsys, "asr", "--set", "yesno", code=code)
    assert "[y/N]" in out and "licence" in out
    assert bool(host.asked) == Path("data/audio/production_asr.csv").exists() == (code == 0)


# Each set, from its archives to its manifest.


def test_text_sets(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = Path("data/text/production_corpus.txt")
    assert get(capsys, "tinystories-small")["rows"] == 3
    assert corpus.read_text() == "One day, Ann saw a red ball.\nBen ran. He fell.\nThe end.\n"
    assert get(capsys, "wikitext-2")["rows"] == 2
    assert corpus.read_text() == "A well-known cat , aged 1,000 . More .\nA dog .\n"
    assert get(capsys, "tinystories-small", "--limit", "1")["rows"] == 1 and corpus.read_text().count("\n") == 1


def test_image_sets(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count, captions in (("flickr8k", 3, 5), ("coco-val2017", 2, 2)):
        found = get(capsys, name)
        rows = [row.values for row in read_rows(found["file"], ("image", "captions"))]
        assert len(rows) == found["rows"] == count and {len(row["captions"]) for row in rows} == {captions}
        assert all((Path("data/images") / row["image"]).is_file() for row in rows)
    assert rows[0] == {"image": "coco-val2017/val2017/000000000009.jpg", "captions": ["Scene 9, 1.", "Scene 9, 2."]}
    assert not list(Path("data").rglob("instances.json"))  # unwanted, never written


def test_flickr8k_keeps_its_test_images_back(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    get(capsys, "flickr8k")
    text = Path("data/images/production_annotations.json").read_text()
    assert "3_c.jpg" not in text and "4_d.jpg" in text and "A a caption , number 0 ." in text


@pytest.mark.parametrize(
    ("name", "rows", "first"),
    [
        (
            LIBRI,
            12,
            {
                "wav": f"{LIBRI}/LibriSpeech/dev-clean/174/50561/174-50561-0000.flac",
                "text": "go, do you hear 0",
                "speaker": "174",
            },
        ),
        (
            "speech-commands",
            3,
            {"wav": "speech-commands/stop/004ae714_nohash_0.wav", "text": "stop", "speaker": "004ae714"},
        ),
        ("yesno", 2, {"wav": "yesno/waves_yesno/0_1_0_0_1_1_0_1.wav", "text": "no yes no no yes yes no yes"}),
        (
            "ljspeech",
            4,
            {"text": 'Printing, in "number 1" ways', "wav": "ljspeech/LJSpeech-1.1/wavs/LJ001-0001.wav"},
        ),
        (
            "libritts-dev-clean",
            1,
            {
                "text": "Go, do you hear?",
                "wav": "libritts-dev-clean/LibriTTS/dev-clean/84/121123/84_121123_000007_000001.wav",
                "speaker": "84",
            },
        ),
        ("iiit5k", 2, {"image": "iiit5k/IIIT5K/train/1_1.png", "text": "SHOP"}),
        ("mnist", 20, {"image": "mnist/digits/00/00000.png", "text": "0"}),
    ],
)
def test_speech_and_word_sets(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], name: str, rows: int, first: dict[str, str]
) -> None:
    found = get(capsys, name)
    kind = KINDS[next(one.kind for one in sets.CATALOGUE if one.name == name)]
    written = table(found["file"])
    assert len(written) == found["rows"] == rows and written[0] == first
    assert tuple(written[0])[:2] == kind.columns
    assert len(list(read_rows(found["file"], kind.columns))) == rows  # the one reader of manifests takes it
    assert all((kind.path("data").parent / row[kind.media]).is_file() for row in written)
    record = json.loads(kind.record_path("data").read_text())
    assert record["set"] == name and record["licence"] and record["licence_url"] and record["rows"] == rows
    assert all(len(file["sha256"]) == 64 for file in record["files"])
    assert not list(Path("data/.cache/downloads").rglob("*.gz")) and not list(Path("data").rglob("*unpacking*"))


def test_digits_are_drawn_as_they_are_stored(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np
    from PIL import Image

    get(capsys, "mnist")
    with Image.open("data/ocr/mnist/digits/00/00003.png") as image:
        pixels = np.asarray(image)
    assert (pixels == np.arange(3 * 784, 4 * 784).astype(np.uint8).reshape(28, 28)).all()


def test_the_label_reader_agrees_with_scipy(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    import numpy as np

    from muomni.data.download.matlab import read_text_fields

    rows = [("train/1_1.png", "SHOP"), ("train/22_13.png", "A"), ("train/3.png", "CAFÉ")]
    array = np.zeros((1, 3), dtype=[("ImgName", "O"), ("GroundTruth", "O"), ("smallLexi", "O")])
    for number, (name, word) in enumerate(rows):
        array[0, number] = (name, word, np.array(["ONE", "THREE"], dtype=object))
    for compressed in (False, True):
        scipy_io.savemat(tmp_path / "x.mat", {"other": np.eye(2), "traindata": array}, do_compression=compressed)
        assert list(read_text_fields(tmp_path / "x.mat", ("ImgName", "GroundTruth"))) == rows


def test_a_limit_is_spread_over_the_set(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert get(capsys, LIBRI, "--limit", "4")["rows"] == 4
    assert [row["speaker"] for row in table("data/audio/production_asr.csv")] == ["174", "174", "84", "84"]
    asked = len(host.asked)
    assert get(capsys, LIBRI)["rows"] == 12 and len(host.asked) == asked  # more rows of what is there


# Running again.


def test_again_is_nothing_to_do(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert get(capsys, LIBRI)["changed"] is True
    before = {path: path.stat().st_mtime_ns for path in Path("data").rglob("*")}
    asked = len(host.asked)
    out, _ = run(capsys, "asr")  # no --yes: nothing is fetched, so nothing is asked
    assert "12 rows, as it was: nothing to do" in out and len(host.asked) == asked
    assert {path: path.stat().st_mtime_ns for path in Path("data").rglob("*")} == before


def test_a_missing_clip_brings_the_set_again(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    get(capsys, LIBRI)
    next(Path("data").rglob("*.flac")).unlink()
    assert get(capsys, LIBRI)["changed"] is True
    assert len(list(Path("data").rglob("*.flac"))) == 12


def test_a_manifest_of_ones_own_is_never_overwritten(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path("data/audio/production_asr.csv")
    own.parent.mkdir(parents=True)
    own.write_text("wav,text\nmine.wav,mine\n")
    assert "--replace" in refused(capsys, LIBRI) and host.asked == []
    assert own.read_text() == "wav,text\nmine.wav,mine\n"
    assert get(capsys, LIBRI, "--replace")["rows"] == 12
    own.write_text(own.read_text() + "mine.wav,mine\n")  # ours, then changed by hand
    assert "changed since" in refused(capsys, "yesno")


def test_another_set_takes_the_manifest_and_the_files_stay(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(capsys, LIBRI)
    assert get(capsys, "yesno")["rows"] == 2
    asked = len(host.asked)
    assert get(capsys, LIBRI)["rows"] == 12 and len(host.asked) == asked


def test_a_folder_of_ones_own_is_not_touched(host: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = Path("data/audio/yesno/mine.txt")
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert "was not made by this command" in refused(capsys, "yesno")
    assert own.read_text() == "mine" and host.asked == []


def test_a_full_disk_is_found_before_the_first_byte(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    assert "GB free" in refused(capsys, LIBRI) and host.asked == []


# A host that misbehaves. Every way ends in the right bytes, or in one clear line.


@pytest.mark.parametrize(
    ("manners", "requests"),
    [
        (["ok"], 1),
        (["cut:40000", "cut:30000", "ok"], 3),
        (["cut:40000", "no-range"], 2),
        (["cut:0", "500", "503", "ok"], 4),
        (["429", "ok"], 2),
        (["cut:40000", "wrong-piece", "ok"], 3),
        (["long", "ok"], 3),
        (["weak", "ok"], 1),
        (["cut:40000", "weak", "ok"], 2),
        (["no-length"], 1),
        (["no-tag"], 1),
        (["redirect:/file.bin", "ok"], 2),
    ],
)
def test_a_host_that_stumbles(host: Host, tmp_path: Path, manners: list[str], requests: int) -> None:
    data = noise()
    file = remote(host, data, exact="long" not in manners)
    host.manners["/file.bin"] = manners
    transfer.transfer(file, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == data
    assert len(host.asked) == requests
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_the_rest_is_asked_for_and_only_of_the_same_version(host: Host, tmp_path: Path) -> None:
    data = noise()
    file = remote(host, data)
    host.manners["/file.bin"] = ["cut:40000", "ok"]
    transfer.transfer(file, tmp_path / "file.bin")
    first, second = host.asked
    assert first.range is None and second.range == "bytes=40000-" and second.if_range is not None
    assert host.sent == len(data)


def test_a_file_that_changes_in_between_is_started_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TRIES", 1)
    old, new = noise(), noise()[::-1]
    file = remote(host, old, sha256=None)
    host.manners["/file.bin"] = ["cut:40000"]
    monkeypatch.setattr(transfer, "MOST_TRIES", 1)
    with pytest.raises(UserError, match="broke off"):
        transfer.transfer(file, tmp_path / "file.bin")
    assert (tmp_path / "file.bin.part").stat().st_size == 40000
    host.files["/file.bin"], host.manners = new, {}
    transfer.transfer(file, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == new


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        (["404"], "the server answers 404"),
        (["403"], "the server answers 403"),
        (["500"], "5 times in a row (HTTP 500"),
        (["cut:0"], "0 of 100,000 bytes arrived"),
        (["short"], "the server's file has 99,900 bytes, the set's has 100,000"),
        (["redirect:/file.bin"], "redirects in a circle"),
        (["redirect:ftp://127.0.0.1/x"], "ftp"),
    ],
)
def test_a_host_that_fails_is_one_clear_line(host: Host, tmp_path: Path, manners: list[str], said: str) -> None:
    file = remote(host, noise())
    host.manners["/file.bin"] = manners
    with pytest.raises(UserError) as error:
        transfer.transfer(file, tmp_path / "file.bin")
    assert said in str(error.value) and host.url in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "file.bin").exists() and len(host.asked) <= 20


def test_a_host_that_never_ends_is_stopped(host: Host, tmp_path: Path) -> None:
    file = remote(host, noise(4 << 20), bytes=100_000, exact=False)
    host.manners["/file.bin"] = ["no-length"]
    with pytest.raises(UserError, match="sends more than"):
        transfer.transfer(file, tmp_path / "file.bin")
    assert not list(tmp_path.iterdir())


def test_a_host_that_is_silent_counts_as_cut(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    monkeypatch.setattr(transfer, "TRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = RemoteFile((f"http://127.0.0.1:{silent.getsockname()[1]}/file.bin",), 10, sha256="0" * 64)
        with pytest.raises(UserError, match="timed out"):
            transfer.transfer(file, tmp_path / "file.bin")


def test_nobody_there_is_one_clear_line(host: Host, tmp_path: Path) -> None:
    file = RemoteFile(("http://127.0.0.1:9/file.bin",), 10, sha256="0" * 64)
    with pytest.raises(UserError, match="refused"):
        transfer.transfer(file, tmp_path / "file.bin")


def test_a_mirror_takes_over(host: Host, tmp_path: Path) -> None:
    data = noise()
    file = remote(host, data)
    host.files["/mirror/file.bin"] = data
    for first in (["404"], ["500"]):
        host.manners["/file.bin"] = first
        both = dataclasses.replace(file, urls=(*file.urls, f"{host.url}/mirror/file.bin"))
        transfer.transfer(both, tmp_path / "file.bin")
        assert (tmp_path / "file.bin").read_bytes() == data
    host.manners["/file.bin"] = ["cut:40000", "404"]  # the second half comes from the mirror
    host.sent = 0
    transfer.transfer(both, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == data and host.sent == len(data)


# Checksums.


def test_a_wrong_checksum_is_said_and_the_file_removed(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = host.files[f"/{LIBRI}/dev-clean.tar.gz"]
    host.files[f"/{LIBRI}/dev-clean.tar.gz"] = right[:-20] + bytes(20)
    err = refused(capsys, LIBRI)
    assert "SHA-256" in err and "published is" in err and "removed" in err and "dev-clean.tar.gz" in err
    assert not list(Path("data").rglob("*.flac")) and not list(Path("data").rglob("*.gz"))
    assert not Path("data/audio/production_asr.csv").exists()
    host.files[f"/{LIBRI}/dev-clean.tar.gz"] = right
    assert get(capsys, LIBRI)["rows"] == 12


def test_a_part_of_another_file_is_fetched_once_more_by_itself(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = Path(f"data/.cache/downloads/{LIBRI}/dev-clean.tar.gz.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"not what it should be")
    assert get(capsys, LIBRI)["rows"] == 12
    assert [asked.range for asked in host.asked] == ["bytes=21-", None]


def test_without_a_published_checksum_the_first_download_is_remembered(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    first = tarred({"waves_yesno/0_1.wav": b"x" * 2000})
    monkeypatch.setattr(sets, "CATALOGUE", (on_host(host, "yesno", [first], published=False),))
    found = get(capsys, "yesno")
    seen = json.loads(Path("data/.cache/downloads/yesno/checksums.json").read_text())
    assert seen["waves_yesno.tar.gz"]["sha256"] == hashlib.sha256(first).hexdigest() == found["files"][0]["sha256"]
    shutil.rmtree("data/audio/yesno")
    host.files["/yesno/waves_yesno.tar.gz"] = first[:-4] + bytes(4)
    assert "at the first download it was" in refused(capsys, "yesno")
    host.files["/yesno/waves_yesno.tar.gz"] = first
    assert get(capsys, "yesno")["rows"] == 1


def test_a_set_that_is_not_as_published_is_said(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for contents, said in (
        ({"x/readme": b"x"}, "would have no row at all"),
        ({"x/a.wav": b"x", "x/0_1.wav": b"x"}, "1 of 2 rows cannot be used"),
    ):
        monkeypatch.setattr(sets, "CATALOGUE", (on_host(host, "yesno", [tarred(contents)]),))
        assert said in refused(capsys, "yesno")
        assert not Path("data/audio/production_asr.csv").exists()
    monkeypatch.setattr(sets, "CATALOGUE", (on_host(host, "ljspeech", [tarred({"a": b"x"}, "bz2")]),))
    assert "has no metadata.csv" in refused(capsys, "ljspeech")


def test_a_table_that_leads_out_of_the_set_is_not_followed(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("secret.wav").write_bytes(b"x")
    lines = b"../../../../../secret|a|a\n" + f"{here}/secret|a|a\n".encode()
    archive = tarred({"LJSpeech-1.1/metadata.csv": lines, "LJSpeech-1.1/wavs/a.wav": b"x"}, "bz2")
    monkeypatch.setattr(sets, "CATALOGUE", (on_host(host, "ljspeech", [archive]),))
    assert "leads out of the folder" in refused(capsys, "ljspeech")


# Killed in the middle.

CHILD = """
import sys
import small_sets, data_server
from muomni.data.download import sets, fetch
host = data_server.Host(url=sys.argv[1])
sets.CATALOGUE = small_sets.catalogue(host)
{extra}
from muomni.cli import main
sys.exit(main(["data", "download", "asr", "--set", "librispeech-dev-clean", "--yes"]))
"""


def start(host: Host, extra: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(extra=extra), host.url],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent), "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process: subprocess.Popen[bytes], seen: Any) -> None:
    deadline = time.monotonic() + 20
    while not seen() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert seen() and process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)


@pytest.fixture
def steady(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The same large archive here and in a child: made once, handed on as a file on the host."""
    big = on_host(host, LIBRI)
    monkeypatch.setattr(sets, "CATALOGUE", (big,))
    return host


def test_killed_in_the_transfer_it_goes_on(steady: Host, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"/{LIBRI}/dev-clean.tar.gz"
    size = len(steady.files[name])
    steady.manners[name] = ["slow"]
    part = Path(f"data/.cache/downloads/{LIBRI}/dev-clean.tar.gz.part")
    child = start(steady, "from muomni.data.download import transfer; transfer.PIECE = 512")
    kill_when(child, lambda: part.exists() and part.stat().st_size > 0)
    have = part.stat().st_size
    assert 0 < have < size and not Path("data/audio").exists()
    steady.manners.clear()
    steady.asked.clear()
    assert get(capsys, LIBRI)["rows"] == 12
    assert steady.asked[0].range == f"bytes={have}-"


def test_killed_while_unpacking_it_unpacks_again_without_fetching(
    steady: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = """
import time
real = fetch.unpack
def unpack(*a, **k):
    k["advance"] = lambda n: time.sleep(0.2)
    return real(*a, **k)
fetch.unpack = unpack
"""
    kill_when(start(steady, extra), lambda: len(list(Path("data/audio").rglob("*.flac"))) >= 2)
    assert not Path(f"data/audio/{LIBRI}").exists() and not Path("data/audio/production_asr.csv").exists()
    steady.asked.clear()
    assert get(capsys, LIBRI)["rows"] == 12 and steady.asked == []
    assert sorted(path.name for path in Path("data/audio").iterdir()) == [
        LIBRI,
        "production_asr.csv",
        "production_asr.source.json",
    ]


def test_killed_between_record_and_manifest_the_manifest_is_still_ours(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(capsys, "yesno")
    manifest, record = Path("data/audio/production_asr.csv"), Path("data/audio/production_asr.source.json")
    old = manifest.read_bytes()
    get(capsys, LIBRI)
    assert json.loads(record.read_text())["before"]["sha256"] == hashlib.sha256(old).hexdigest()
    manifest.write_bytes(old)  # as if the kill came before the manifest's own rename
    assert get(capsys, LIBRI)["changed"] is True and manifest.read_bytes() != old


def test_an_interrupted_transfer_keeps_what_it_has(
    host: Host, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "unpack", stop)
    assert main(["data", "download", "asr", "--yes"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert Path(f"data/.cache/downloads/{LIBRI}/dev-clean.tar.gz").is_file()
    assert list(Path("data/audio").iterdir()) == [] if Path("data/audio").exists() else True
