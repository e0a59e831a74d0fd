"""The catalogue: real sets a learner can fetch without an account, each below 5 GB, with licence, size and checksum.

Checksums are those that torchaudio and torchvision hold, or that the host or another dataset library publishes; a file
without one has None, and then its exact size must match and what was seen first is remembered. Parts that a set's
authors keep for testing are left out of the manifests, so that a score on them stays honest.
"""

from __future__ import annotations

import difflib

from muomni.data.download.entry import RealSet, RemoteFile
from muomni.errors import BAD_USAGE, UserError

LARGEST = 5 * 10**9
"""Bytes that no set of the catalogue exceeds."""

_STORIES = "https://huggingface.co/datasets/roneneldan/TinyStories"
_STORIES_AT = f"{_STORIES}/resolve/f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"
_WIKI_MIRROR = "https://huggingface.co/datasets/ggml-org/ci/resolve/927b3642933080f1b0e811e2f916e14c292992f9"
_FLICKR = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
_COCO = "https://s3.amazonaws.com/images.cocodataset.org"
_SLR = ("https://www.openslr.org/resources", "https://us.openslr.org/resources", "https://openslr.elda.org/resources")
_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist")
_CC = "https://creativecommons.org/licenses"


def _at(bases: tuple[str, ...], path: str) -> tuple[str, ...]:
    return tuple(f"{base}/{path}" for base in bases)


CATALOGUE: tuple[RealSet, ...] = (
    RealSet(
        name="tinystories-small",
        kind="text",
        about="21,990 short stories in a small child's words (TinyStories' validation file)",
        licence="CDLA-Sharing-1.0",
        licence_url="https://cdla.dev/sharing-1-0/",
        homepage=_STORIES,
        files=(
            RemoteFile(
                (f"{_STORIES_AT}/TinyStories-valid.txt",),
                19_447_282,
                sha256="94e431816c4cce81ff71e4408ff8d3bda9a42e8d2663986697c3954288cb38b4",
            ),
        ),
        unpacked=19_447_282,
        layout="stories",
        default=True,
    ),
    RealSet(
        name="tinystories",
        kind="text",
        about="2.1 million short stories in a small child's words (TinyStories' training file)",
        licence="CDLA-Sharing-1.0",
        licence_url="https://cdla.dev/sharing-1-0/",
        homepage=_STORIES,
        files=(
            RemoteFile(
                (f"{_STORIES_AT}/TinyStories-train.txt",),
                1_924_281_556,
                sha256="c5cf5e22ff13614e830afbe61a99fbcbe8bcb7dd72252b989fa1117a368d401f",
            ),
        ),
        unpacked=1_924_281_556,
        layout="stories",
    ),
    RealSet(
        name="wikitext-2",
        kind="text",
        about="600 good Wikipedia articles (WikiText-2 raw, the training part)",
        licence="CC BY-SA 3.0",
        licence_url=f"{_CC}/by-sa/3.0/",
        homepage="https://huggingface.co/datasets/Salesforce/wikitext",
        files=(
            RemoteFile(
                _at(("https://wikitext.smerity.com", _WIKI_MIRROR), "wikitext-2-raw-v1.zip"),
                4_721_645,
                sha256="ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
            ),
        ),
        unpacked=14_000_000,
        layout="wikitext",
    ),
    RealSet(
        name="wikitext-103",
        kind="text",
        about="28,000 good Wikipedia articles (WikiText-103 raw, the training part)",
        licence="CC BY-SA 3.0",
        licence_url=f"{_CC}/by-sa/3.0/",
        homepage="https://huggingface.co/datasets/Salesforce/wikitext",
        files=(
            RemoteFile(
                ("https://wikitext.smerity.com/wikitext-103-raw-v1.zip",),
                191_984_949,
                sha256="91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
            ),
        ),
        unpacked=550_000_000,
        layout="wikitext",
    ),
    RealSet(
        name="flickr8k",
        kind="image",
        about="8,000 photographs of people and animals, five captions each",
        licence="none open: non-commercial research and education only",
        licence_url="http://hockenmaier.cs.illinois.edu/8k-pictures.html",
        homepage="https://github.com/jbrownlee/Datasets/releases/tag/Flickr8k",
        files=(
            RemoteFile(
                (f"{_FLICKR}/Flickr8k_Dataset.zip",), 1_115_000_000, md5="f18a1e2920de5bd84dae7cf08ec78978", exact=False
            ),
            RemoteFile(
                (f"{_FLICKR}/Flickr8k_text.zip",), 2_400_000, md5="bf6c1abcb8e4a833b7f922104de18627", exact=False
            ),
        ),
        unpacked=1_130_000_000,
        layout="flickr8k",
        default=True,
    ),
    RealSet(
        name="coco-val2017",
        kind="image",
        about="5,000 everyday scenes, five captions each (COCO 2017, the validation part)",
        licence="captions CC BY 4.0; photographs under Flickr's terms of use",
        licence_url="https://cocodataset.org/#termsofuse",
        homepage="https://cocodataset.org/#download",
        files=(
            RemoteFile(
                (f"{_COCO}/zips/val2017.zip",),
                815_585_330,
                sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            ),
            RemoteFile(
                (f"{_COCO}/annotations/annotations_trainval2017.zip",),
                252_907_541,
                sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                wanted=("annotations/captions_val2017.json",),
            ),
        ),
        unpacked=830_000_000,
        layout="coco",
    ),
    RealSet(
        name="librispeech-dev-clean",
        kind="asr",
        about="5.4 hours of audiobooks by 40 readers, 2,703 utterances, 16 kHz",
        licence="CC BY 4.0",
        licence_url=f"{_CC}/by/4.0/",
        homepage="https://www.openslr.org/12/",
        files=(
            RemoteFile(
                _at(_SLR, "12/dev-clean.tar.gz"),
                337_926_286,
                sha256="76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
            ),
        ),
        unpacked=360_000_000,
        layout="librispeech",
        default=True,
    ),
    RealSet(
        name="librispeech-dev-other",
        kind="asr",
        about="5.3 hours of audiobooks by 33 readers who are harder to understand, 2,864 utterances, 16 kHz",
        licence="CC BY 4.0",
        licence_url=f"{_CC}/by/4.0/",
        homepage="https://www.openslr.org/12/",
        files=(
            RemoteFile(
                _at(_SLR, "12/dev-other.tar.gz"),
                314_305_928,
                sha256="12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
            ),
        ),
        unpacked=340_000_000,
        layout="librispeech",
    ),
    RealSet(
        name="speech-commands",
        kind="asr",
        about="35 single words by 2,618 speakers, 105,829 clips of a second, 16 kHz (version 0.02)",
        licence="CC BY 4.0",
        licence_url=f"{_CC}/by/4.0/",
        homepage="https://arxiv.org/abs/1804.03209",
        files=(
            RemoteFile(
                ("https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",),
                2_428_923_189,
                sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            ),
        ),
        unpacked=3_800_000_000,
        layout="speech_commands",
    ),
    RealSet(
        name="yesno",
        kind="asr",
        about="one man's yes and no in Hebrew, 60 clips of eight words, 8 kHz: the smallest real set there is",
        licence="no licence named by the host: see its page",
        licence_url="https://www.openslr.org/1/",
        homepage="https://www.openslr.org/1/",
        files=(
            RemoteFile(
                _at(_SLR, "1/waves_yesno.tar.gz"),
                4_710_000,
                sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
                exact=False,
            ),
        ),
        unpacked=6_500_000,
        layout="yesno",
    ),
    RealSet(
        name="ljspeech",
        kind="tts",
        about="24 hours of one reader, 13,100 sentences, 22.05 kHz (LJ Speech 1.1)",
        licence="public domain",
        licence_url="https://keithito.com/LJ-Speech-Dataset/",
        homepage="https://keithito.com/LJ-Speech-Dataset/",
        files=(
            RemoteFile(
                ("https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",),
                2_748_572_632,
                sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
            ),
        ),
        unpacked=3_900_000_000,
        layout="ljspeech",
        default=True,
    ),
    RealSet(
        name="libritts-dev-clean",
        kind="tts",
        about="9 hours of audiobooks by 40 readers, with punctuation, 24 kHz",
        licence="CC BY 4.0",
        licence_url=f"{_CC}/by/4.0/",
        homepage="https://www.openslr.org/60/",
        files=(
            RemoteFile(
                _at(_SLR, "60/dev-clean.tar.gz"),
                1_291_469_655,
                sha256="da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a",
            ),
        ),
        unpacked=1_650_000_000,
        layout="libritts",
    ),
    RealSet(
        name="iiit5k",
        kind="ocr",
        about="2,000 words cut out of photographs and signs (IIIT 5K-Word, the training part)",
        licence="no licence named by its authors: published for research",
        licence_url="https://cvit.iiit.ac.in/research/projects/cvit-projects/the-iiit-5k-word-dataset",
        homepage="https://cvit.iiit.ac.in/research/projects/cvit-projects/the-iiit-5k-word-dataset",
        files=(
            RemoteFile(
                ("https://cvit.iiit.ac.in/images/Projects/SceneTextUnderstanding/IIIT5K-Word_V3.0.tar.gz",),
                106_000_000,
                sha256="7872c9efbec457eb23f3368855e7738f72ce10927f52a382deb4966ca0ffa38e",
                exact=False,
            ),
        ),
        unpacked=130_000_000,
        layout="iiit5k",
        default=True,
    ),
    RealSet(
        name="mnist",
        kind="ocr",
        about="60,000 handwritten digits, 28 x 28 pixels (MNIST, the training part)",
        licence="CC BY-SA 3.0",
        licence_url=f"{_CC}/by-sa/3.0/",
        homepage="https://keras.io/api/datasets/mnist/",
        files=(
            RemoteFile(_at(_MNIST, "train-images-idx3-ubyte.gz"), 9_912_422, md5="f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            RemoteFile(_at(_MNIST, "train-labels-idx1-ubyte.gz"), 28_881, md5="d53e105ee54ea40749a09fcbcd1e9432"),
        ),
        unpacked=300_000_000,
        layout="mnist",
    ),
)
"""Every set, in the order it is listed."""


def sets_of(kind: str | None = None) -> list[RealSet]:
    """The sets of a kind, or all."""
    return [one for one in CATALOGUE if kind in (None, one.kind)]


def choose(kind: str, name: str | None = None) -> RealSet:
    """The set called `name`, or the kind's default.

    Raises:
        UserError: there is none of that name in that kind; with the nearest name, or the kind that has it.
    """
    found = sets_of(kind)
    chosen = next((one for one in found if (one.default if name is None else one.name == name)), None)
    if chosen is not None:
        return chosen
    other = next((one for one in CATALOGUE if one.name == name), None)
    if other is not None:
        fix = f"It is {other.kind}: `muomni data download {other.kind} --set {name}`."
    else:
        close = difflib.get_close_matches(str(name).lower(), [one.name for one in found], n=1, cutoff=0.5)
        names = ", ".join(one.name for one in found)
        fix = f'Did you mean "{close[0]}"?' if close else f"There are: {names}."
    raise UserError(f'"{name}" is no set of {kind}', field="--set", fix=fix, exit_code=BAD_USAGE)
