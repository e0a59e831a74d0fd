"""From a stage's name and settings to a trained model: data, model, folder, loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from muomni.config import StageConfig, ThinkerConfig
from muomni.data.fingerprint import fingerprint
from muomni.data.packed import split_rows, token_stream
from muomni.data.tokenizer import Tokenizer, load_or_train_tokenizer
from muomni.errors import BAD_USAGE, UserError
from muomni.plan.schedule import training_examples
from muomni.train.checkpoint import RunFolder
from muomni.train.events import Control, Listener
from muomni.train.loop import Result, Trainer
from muomni.train.objective import Examples, Objective
from muomni.train.parallel import join_processes
from muomni.train.thinker import TextRows, ThinkerObjective


@dataclass(frozen=True)
class Task:
    """What the loop needs to train one stage. `data` is the fingerprint of what it trains on."""

    objective: Objective
    train: Examples
    validation: Examples
    data: str
    tokenizer: Path | None = None


def thinker_task(config: StageConfig) -> Task:
    """Stage A on the config's text and tokenizer."""
    config = cast(ThinkerConfig, config)
    tokenizer = matching_tokenizer(config)
    stream = token_stream(config.train_text, tokenizer, documents=config.documents)
    training = training_examples(len(stream), config.val_split)
    eot_id = tokenizer.eot_id if config.separate_documents else None
    train, validation = split_rows(stream, training, config.ctx_len, config.seed, eot_id=eot_id)
    return Task(
        ThinkerObjective(config, tokenizer),
        TextRows(train),
        TextRows(validation),
        f"{fingerprint(config.train_text)} {tokenizer.fingerprint}",
        Path(config.tokenizer),
    )


def matching_tokenizer(config: ThinkerConfig) -> Tokenizer:
    """The config's tokenizer, trained now if there is none; it must have as many pieces as the model has embeddings."""
    tokenizer = load_or_train_tokenizer(config.tokenizer, config.train_text, config.vocab_size)
    if tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"is {config.vocab_size}, but {config.tokenizer} has {tokenizer.vocab_size} pieces",
            field="vocab_size",
            fix="Set vocab_size to that number, or run `muomni update-configs`.",
        )
    return tokenizer


TASKS: dict[str, Callable[[StageConfig], Task]] = {"thinker": thinker_task}
"""The stages that can be trained."""


def train(
    config: StageConfig,
    *,
    resume: bool = False,
    replace: bool = False,
    listener: Listener | None = None,
    control: Control | None = None,
) -> Result:
    """Train one stage as its config says, into its `save_dir`.

    Args:
        config: the stage's settings.
        resume: go on from the last checkpoint in `save_dir`.
        replace: remove the run that `save_dir` holds and start again.
        listener: is told of every report, validation, sample and checkpoint.
        control: pauses, resumes or stops the run from elsewhere.

    Raises:
        UserError: the data, the tokenizer or the folder does not fit, or the run diverged.
    """
    make_task = TASKS.get(config.stage_name)
    if make_task is None:
        raise UserError(
            f"{config.stage_name} cannot be trained yet; these can: {', '.join(TASKS)}", exit_code=BAD_USAGE
        )
    processes = join_processes(config)
    folder = RunFolder(config.save_dir)
    if replace and processes.first:
        folder.clear()
    torch.manual_seed(config.seed)
    task = processes.one_first(lambda: make_task(config))
    trainer = Trainer(
        task.objective,
        task.train,
        task.validation,
        folder,
        data=task.data,
        tokenizer=task.tokenizer,
        listener=listener,
        control=control,
        processes=processes,
    )
    return trainer.fit(resume=resume)
