"""Archives that mean harm, are damaged, or only odd: nothing lands outside the folder, nothing grows without bound."""

import gzip
import io
import os
import stat
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from small_sets import tarred, zipped

from muomni.data.download import archives
from muomni.data.download.archives import Limits, unpack
from muomni.errors import UserError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose every file outside `out` is the archive's doing."""
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner"


def check(place: Path, name: str, data: bytes, said: str, limits: Limits | None = None) -> None:
    """Unpacking is refused in one line that names the archive, and leaves nothing outside its folder."""
    archive = place / name
    archive.write_bytes(data)
    with pytest.raises(UserError) as error:
        unpack(archive, place / "out", limits=limits)
    text = str(error.value)
    assert said in text and str(archive) in text and "\n" not in text and len(text) < 600
    assert sorted(path.name for path in place.iterdir()) in ([name], sorted([name, "out"]))
    assert sorted(path.name for path in place.parent.iterdir()) == ["inner"]
    assert not any(path.is_symlink() for path in place.rglob("*"))


def tar_of(*members: tarfile.TarInfo, packing: str = "w:gz") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=packing) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return target.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zip_of(name: str, data: bytes = b"evil", mode: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return target.getvalue().replace(b"x" * len(name), name.encode("latin-1"))  # names that zipfile would not write


ESCAPES = ["../evil", "a/../../evil", "/tmp/evil", "a/..", "..", "//evil"]
ODD = ["a\\..\\evil", "C:evil", "a\0b", "a\nb", "a\x1b[31m", "evil.txt:stream"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_out_is_refused(place: Path, name: str) -> None:
    check(place, "x.tar.gz", tar_of(member(name, size=4)), "leads out of the folder")
    check(place, "x.tar.gz", tar_of(member(name, tarfile.DIRTYPE)), "leads out of the folder")


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_out_is_refused_in_a_zip(place: Path, name: str) -> None:
    check(place, "x.zip", zip_of(name), "leads out of the folder")


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_another_system_reads_otherwise_is_refused(place: Path, name: str) -> None:
    check(place, "x.zip", zip_of(name), "is no name for a file")


@pytest.mark.parametrize("name", [odd for odd in ODD if "\0" not in odd])
def test_the_same_in_a_tar(place: Path, name: str) -> None:
    check(place, "x.tar.gz", tar_of(member(name, size=4)), "is no name for a file")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a hard link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a pipe"),
    ],
)
def test_only_files_and_folders_come_out_of_a_tar(place: Path, kind: bytes, said: str) -> None:
    for target in ("../../evil", "/etc/passwd", "inside"):
        check(place, "x.tar.gz", tar_of(member("link", kind, target), member("link/file", size=4)), said)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (stat.S_IFLNK, "is a link"),
        (stat.S_IFCHR, "is a device"),
        (stat.S_IFBLK, "is a device"),
        (stat.S_IFIFO, "device"),
    ],
)
def test_only_files_and_folders_come_out_of_a_zip(place: Path, mode: int, said: str) -> None:
    check(place, "x.zip", zip_of("link", b"/etc/passwd", mode | 0o777), said)


def test_a_bomb_is_stopped_while_it_grows(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_FLOOR", 1 << 20)
    zeros = bytes(40 << 20)
    begun = time.monotonic()
    for name, data in (
        ("x.zip", zipped({"zeros": zeros})),
        ("x.tar.gz", tarred({"zeros": zeros})),
        ("x.tar.bz2", tarred({"zeros": zeros}, "bz2")),
        ("x.gz", gzip.compress(zeros)),
    ):
        check(place, name, data, "unpacks to more than 200 times its size")
        (place / name).unlink()
        written = sum(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
        assert written <= max(1 << 20, 200 * len(data))
        for path in (place / "out").rglob("*"):
            path.unlink()
    assert time.monotonic() - begun < 10


def test_a_size_that_the_header_denies_is_counted(place: Path) -> None:
    data = bytearray(zipped({"a": os.urandom(3 << 20)}))
    at = data.find(b"PK\1\2")
    struct.pack_into("<I", data, at + 24, 10)  # the list says that it is 10 bytes
    check(place, "x.zip", bytes(data), "", Limits(bytes=1 << 20))


def test_limits_of_bytes_and_members(place: Path) -> None:
    random = os.urandom(3 << 20)
    check(place, "x.tar.gz", tarred({"a": random}), "unpacks to more than 1,048,576 bytes", Limits(bytes=1 << 20))
    (place / "x.tar.gz").unlink()
    many = {f"f{n}": b"" for n in range(30)}
    check(place, "x.tar.gz", tarred(many), "more than 20 members", Limits(members=20))
    (place / "x.tar.gz").unlink()
    check(place, "x.zip", zipped(many), "names more than 20 members", Limits(members=20))


@pytest.mark.parametrize("wide", [False, True])
def test_two_million_declared_members_are_refused_before_they_are_read(place: Path, wide: bool) -> None:
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    if wide:
        record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2_000_000, 2_000_000, 92_000_000, 0)
        data = record + struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1) + end
    else:
        data = end
    begun = time.monotonic()
    check(place, "x.zip", data, "names more than 500,000 members")
    assert time.monotonic() - begun < 1


def test_two_million_members_of_a_tar_are_stopped(place: Path) -> None:
    plain = tarfile.TarInfo("d/").tobuf() * 600_000
    begun = time.monotonic()
    check(place, "x.tar.gz", gzip.compress(plain, 1), "", Limits(members=50_000))
    assert time.monotonic() - begun < 20


def test_a_member_twice_is_refused(place: Path) -> None:
    check(place, "x.tar.gz", tar_of(member("a", size=1), member("./a", size=1)), "is there twice")
    (place / "out" / "a").unlink()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    (place / "x.tar.gz").unlink()
    check(place, "x.zip", target.getvalue(), "is there twice")


def test_a_file_that_is_also_a_folder_is_refused(place: Path) -> None:
    check(place, "x.tar.gz", tar_of(member("a", size=1), member("a/b", size=1)), "clashes with another member")


def test_a_file_that_lies_there_is_never_overwritten(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "a").write_text("mine")
    check(place, "x.zip", zipped({"a": b"theirs"}), "clashes")
    assert (place / "out" / "a").read_text() == "mine"


def test_an_encrypted_member_is_refused(place: Path) -> None:
    data = bytearray(zipped({"a": b"secret"}))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(mark) + offset] |= 1
    check(place, "x.zip", bytes(data), "is encrypted")


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.gz"])
def test_damage_is_one_line(place: Path, name: str) -> None:
    files = {f"f{n}": os.urandom(20_000) for n in range(5)}
    packing = "bz2" if "bz2" in name else "gz"
    good = (
        zipped(files) if name == "x.zip" else gzip.compress(files["f0"]) if name == "x.gz" else tarred(files, packing)
    )
    if name.endswith("xz"):
        import lzma

        good = lzma.compress(tarred(files, ""))
    bad = [good[: len(good) // 2], good[:-5], b"<html>log in first</html>" * 50, good[:9000] + bytes(60) + good[9060:]]
    for data in bad:
        folder = place / "out"
        (place / name).write_bytes(data)
        with pytest.raises(UserError) as error:
            unpack(place / name, folder)
        assert "damaged" in str(error.value) or "cannot be unpacked" in str(error.value), str(error.value)
        for path in folder.rglob("*"):
            path.unlink()


def test_what_is_whole_comes_out_whole(place: Path) -> None:
    files = {"a/b.txt": b"one", "a/c/d.bin": os.urandom(3 << 20), "e": b""}
    seen: list[int] = []
    for number, (name, data) in enumerate(
        [
            ("x.zip", zipped(files)),
            ("x.tar.gz", tarred(files)),
            ("x.tgz", tarred(files)),
            ("x.tar.bz2", tarred(files, "bz2")),
            ("x.tar", tarred(files, "")),
        ]
    ):
        (place / name).write_bytes(data)
        out = place / f"out{number}"
        unpack(place / name, out, advance=seen.append)
        assert {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()} == files
    assert sum(seen) == 5 * sum(map(len, files.values()))


def test_only_what_is_wanted_is_written_and_all_is_looked_at(place: Path) -> None:
    (place / "x.zip").write_bytes(zipped({"a/keep.json": b"1", "a/big.json": b"2", "__MACOSX/a/._keep.json": b"3"}))
    unpack(place / "x.zip", place / "out", wanted=("a/keep.json",))
    assert [path.name for path in (place / "out").rglob("*") if path.is_file()] == ["keep.json"]
    bad = tar_of(member("a", size=1), member("../b", size=1))
    (place / "x.zip").unlink()
    (place / "x.tar.gz").write_bytes(bad)
    with pytest.raises(UserError, match="leads out"):
        unpack(place / "x.tar.gz", place / "out2", wanted=("a",))


def test_a_file_that_is_no_archive_is_put_there_as_it_is(place: Path) -> None:
    (place / "story.txt").write_bytes(b"Once.")
    unpack(place / "story.txt", place / "out")
    assert (place / "out" / "story.txt").read_bytes() == (place / "story.txt").read_bytes() == b"Once."
