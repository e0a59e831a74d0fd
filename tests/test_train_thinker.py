"""Stage A from end to end: trained, killed, resumed, loaded, judged."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from muomni.config import ThinkerConfig
from muomni.config.writing import new_file
from muomni.data.tokenizer import Tokenizer, train_tokenizer
from muomni.data.world import document_at
from muomni.errors import UserError
from muomni.evaluate.text import answers_right, bits_per_character, document_nats, excess_over_entropy, tokens_of
from muomni.infer.generate import generate
from muomni.infer.load import load_thinker
from muomni.models.checkpoint import read_model
from muomni.train.events import Event, Sampled
from muomni.train.run import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a Thinker so small that a step takes milliseconds, with text and tokenizer."""
    folder = tmp_path_factory.mktemp("corpus")
    text, pieces = folder / "text.txt", folder / "pieces.model"
    text.write_text("\n".join(document_at(0, i).text for i in range(400)) + "\n")
    trained = train_tokenizer(text, pieces, 400)
    return dict(
        vocab_size=trained.vocab_size,
        tokenizer=str(pieces),
        train_text=str(text),
        d_model=32,
        n_layers=2,
        n_heads=2,
        n_kv_heads=1,
        d_ff=64,
        ctx_len=128,
        dropout=0.1,
        batch_size=4,
        lr=5e-3,
        max_steps=40,
        warmup_steps=4,
        val_freq=20,
        checkpoint_freq=5,
        print_freq=5,
        use_amp=False,
    )


def test_it_learns_saves_and_can_be_loaded_and_asked(corpus: dict[str, Any], tmp_path: Path) -> None:
    events: list[Event] = []
    result = train(ThinkerConfig(**corpus, save_dir=str(tmp_path)), listener=events.append)
    assert result.step == 40 and result.metrics["loss"] < 0.8 * np.log(corpus["vocab_size"])
    samples = [event for event in events if isinstance(event, Sampled)]
    assert len(samples) == 2 and samples[-1].text
    loaded = load_thinker(tmp_path)
    prompt = [loaded.tokenizer.eot_id]
    assert list(generate(loaded.model, prompt, max_new_tokens=5, temperature=0))
    with pytest.raises(UserError, match="holds no best checkpoint"):
        load_thinker(tmp_path / "elsewhere")


def test_a_tokenizer_of_another_size_is_refused_with_the_remedy(corpus: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"vocab_size: is 999, but .* has \d+ pieces.*update-configs"):
        train(ThinkerConfig(**corpus | {"vocab_size": 999}, save_dir=str(tmp_path)))


def run_file(folder: Path, corpus: dict[str, Any]) -> Path:
    folder.mkdir()
    new_file(folder / "thinker_small.json", ThinkerConfig(**corpus, save_dir=str(folder / "run")))
    return folder / "thinker_small.json"


def command(config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "muomni.cli", "train", "thinker", "--config", str(config), *more]


def weights_hash(run: Path) -> str:
    _, weights = read_model(next(run.glob("step-000040")))
    return hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_the_weights_are_those_of_an_uninterrupted_run(
    corpus: dict[str, Any], tmp_path: Path
) -> None:
    """`KILLS` (default 3) sets how often; the steps are a little slowed so that a kill falls inside the run."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    once = run_file(tmp_path / "once", corpus)
    subprocess.run(command(once), check=True, env=environment, capture_output=True, timeout=120)
    killed = run_file(tmp_path / "killed", corpus)
    dice = random.Random(1)
    history = killed.parent / "run" / "history.jsonl"
    for _ in range(int(os.environ.get("KILLS", "3"))):
        resumed = (killed.parent / "run" / "last.json").exists()
        begun = history.stat().st_size if history.exists() else 0
        process = subprocess.Popen(
            command(killed, *(["--resume"] if resumed else [])),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3000):  # until it trains: then a random moment later
            if process.poll() is not None or (history.exists() and history.stat().st_size > begun):
                break
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    if not (killed.parent / "run" / "step-000040").exists():
        resumed = (killed.parent / "run" / "last.json").exists()
        subprocess.run(
            command(killed, *(["--resume"] if resumed else [])),
            check=True,
            env=environment,
            capture_output=True,
            timeout=120,
        )
    assert weights_hash(once.parent / "run") == weights_hash(killed.parent / "run")


@pytest.mark.slow
def test_two_processes_learn_what_one_does(corpus: dict[str, Any], tmp_path: Path) -> None:
    """The same effective batch, shared out: equal but for the order of sums."""
    settings = corpus | {"dropout": 0.0, "max_steps": 8, "checkpoint_freq": 8, "val_freq": 8}
    one = run_file(tmp_path / "one", settings)
    two = run_file(tmp_path / "two", settings | {"batch_size": 2, "data_parallel": 2})
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(one), check=True, env=environment, capture_output=True, timeout=120)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += command(two)[1:]
    subprocess.run(launch, check=True, env=environment, capture_output=True, timeout=180)
    weights = [read_model(next((f.parent / "run").glob("step-000008")))[1] for f in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-3, atol=1e-5)


class Uniform:
    """A model that knows nothing: every token has the same probability."""

    def __init__(self, vocab_size: int, ctx_len: int) -> None:
        self.config = ThinkerConfig(vocab_size=vocab_size, ctx_len=ctx_len)

    def eval(self) -> None: ...

    def token_losses(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.where(targets == -100, 0.0, float(np.log(self.config.vocab_size)))


@pytest.mark.parametrize("ctx_len", [16, 33, 4096])
def test_every_token_is_judged_exactly_once(corpus: dict[str, Any], ctx_len: int) -> None:
    tokenizer = Tokenizer.load(corpus["tokenizer"])
    model: Any = Uniform(tokenizer.vocab_size, ctx_len)
    text = Path(corpus["train_text"]).read_text()[:3000]
    bits = bits_per_character(model, tokenizer, text) * len(text)
    assert bits == pytest.approx(len(tokens_of(tokenizer, text)) * np.log2(tokenizer.vocab_size), rel=1e-5)
    nats, tokens = document_nats(model, tokenizer, text.splitlines()[:7])
    assert nats == pytest.approx(tokens * np.log(tokenizer.vocab_size), rel=1e-5)


def test_the_excess_of_knowing_nothing_is_large_and_its_interval_holds_it(corpus: dict[str, Any]) -> None:
    tokenizer = Tokenizer.load(corpus["tokenizer"])
    model: Any = Uniform(tokenizer.vocab_size, 512)
    score = excess_over_entropy(model, tokenizer, Path(corpus["train_text"]).read_text().splitlines()[:50])
    assert score.loss == pytest.approx(np.log(tokenizer.vocab_size))
    assert score.low < score.excess < score.high and score.excess > 3
    with pytest.raises(UserError, match="not a document"):
        excess_over_entropy(model, tokenizer, ["the moon is a purple cheese."])


def test_an_untrained_model_answers_wrongly(corpus: dict[str, Any]) -> None:
    from muomni.models.thinker import Thinker

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(corpus["tokenizer"])
    lines = Path(corpus["train_text"]).read_text().splitlines()[:5]
    assert answers_right(Thinker(ThinkerConfig(**corpus)), tokenizer, lines) == 0
