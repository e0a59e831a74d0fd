"""From a stage's name and settings to a trained model: data, model, folder, loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from muomni.config import (
    AudioEncConfig,
    OCRConfig,
    OmniSFTConfig,
    StageConfig,
    TalkerConfig,
    ThinkerConfig,
    VisionConfig,
    VocoderConfig,
)
from muomni.config.agreement import MEL, must_agree
from muomni.data.fingerprint import fingerprint
from muomni.data.packed import split_rows, token_stream
from muomni.data.sources import SOURCES
from muomni.data.tokenizer import Tokenizer, load_or_train_tokenizer
from muomni.errors import BAD_USAGE, UserError
from muomni.infer.load import checkpoint_folder, load_codec, load_thinker, name_of, trained_or_shipped
from muomni.models.checkpoint import WEIGHTS
from muomni.models.talker import mark
from muomni.models.thinker import Thinker
from muomni.plan.schedule import training_examples, warmup_steps
from muomni.train.audio_enc import AudioEncObjective, utterances
from muomni.train.checkpoint import RunFolder
from muomni.train.codec import CodecObjective, Stretches
from muomni.train.events import Began, Control, Event, Finished, Listener, Noted
from muomni.train.loop import Result, Trainer
from muomni.train.media import mel_statistics
from muomni.train.objective import Examples, Objective
from muomni.train.ocr import OCRObjective, words
from muomni.train.omni_sft import OmniObjective, beginning, rows_of
from muomni.train.order import Place
from muomni.train.parallel import join_processes
from muomni.train.talker import Speech, TalkerObjective
from muomni.train.thinker import TextRows, ThinkerObjective
from muomni.train.vision import VisionObjective, captioned
from muomni.train.vocoder import VocoderObjective, crops


@dataclass(frozen=True)
class Task:
    """What the loop needs to train one stage. `data` is the fingerprint of what it trains on, `notes` tell what of that
    was left out."""

    objective: Objective
    train: Examples
    validation: Examples
    data: str
    tokenizer: Path | None = None
    notes: Sequence[str] = ()


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


def audio_enc_task(config: StageConfig) -> Task:
    """Stage B on the config's speech and the Thinker's tokenizer."""
    config = cast(AudioEncConfig, config)
    tokenizer = matching_tokenizer(config)
    train, validation, statistics, notes = utterances(config, tokenizer)
    objective = AudioEncObjective(config, tokenizer, statistics, shown(validation, 3))
    data = f"{fingerprint(config.train_csv)} {tokenizer.fingerprint}"
    return Task(objective, train, validation, data, Path(config.tokenizer), notes)


def vision_task(config: StageConfig) -> Task:
    """Stage C on the config's pictures and captions, the Thinker's tokenizer, and the Thinker itself where it reads."""
    config = cast(VisionConfig, config)
    tokenizer = matching_tokenizer(config)
    train, validation, notes = captioned(config, tokenizer)
    thinker = None
    if config.text_tower == "thinker":
        thinker = thinker_of(config.thinker, "text_d_model", config.text_d_model)
    objective = VisionObjective(config, tokenizer, shown(validation, 64), thinker)
    data = f"{fingerprint(config.train_manifest)} {tokenizer.fingerprint}"
    return Task(objective, train, validation, data, Path(config.tokenizer), notes)


TALKERS_OWN = (
    *("d_model", "n_layers", "n_heads", "d_ff", "dropout", "predictor_d_model", "code_noise", "n_speakers"),
    *("vocab_size", "thinker_d_model", "thinker", "tokenizer"),
)
"""Settings that the codec does not know: when they change, it need not be trained again."""


def codec_config(config: StageConfig) -> StageConfig:
    """The codec's own run, which comes before the Talker's and lies in its folder."""
    config = cast(TalkerConfig, config)
    changes: dict[str, Any] = {name: TalkerConfig.model_fields[name].default for name in TALKERS_OWN}
    changes |= {"max_steps": config.codec_steps, "max_epochs": 1000, "lr": config.codec_lr}  # the steps decide
    changes["warmup_steps"] = warmup_steps(config.codec_steps)
    return config.model_copy(update=changes | {"save_dir": str(Path(config.save_dir) / "codec")})


def codec_task(config: StageConfig) -> Task:
    """Stage D's codec on the config's speech."""
    config = cast(TalkerConfig, config)
    speech = Speech(config)
    train, validation = (Stretches(media, config, media is speech.media[0]) for media in speech.media)
    objective = CodecObjective(config, mel_statistics(train.media), shown(validation, 64))
    return Task(objective, train, validation, fingerprint(config.tts_csv), None, speech.notes)


def talker_task(config: StageConfig) -> Task:
    """Stage D's Talker on the config's speech, the codec before it, the Thinker and its tokenizer."""
    config = cast(TalkerConfig, config)
    tokenizer = matching_tokenizer(config)
    speech = Speech(config)
    thinker = thinker_of(config.thinker, "thinker_d_model", config.thinker_d_model)
    codec = load_codec(Path(config.save_dir) / "codec", "last")
    train, validation = speech.utterances(codec, thinker, tokenizer)
    objective = TalkerObjective(config, codec, thinker, shown(validation, 1))
    data = f"{fingerprint(config.tts_csv)} {tokenizer.fingerprint} {mark(thinker).tolist()}"
    return Task(objective, train, validation, data, Path(config.tokenizer), speech.notes)


def thinker_of(run: str, field: str, width: int) -> Thinker:
    """The Thinker that another stage listens to: that of a run, or where it was not trained the one that comes with us.

    Raises:
        UserError: it is not as wide as the config's `field` says.
    """
    thinker = load_thinker(trained_or_shipped(run, "thinker")).model
    if thinker.config.d_model != width:
        problem = f"is {width}, but the Thinker in {run} is {thinker.config.d_model} wide"
        raise UserError(problem, field=field, fix="Make them equal.")
    return thinker


def ocr_task(config: StageConfig) -> Task:
    """Stage G on the config's pictures of words."""
    config = cast(OCRConfig, config)
    train, validation, characters, notes = words(config)
    objective = OCRObjective(config, characters, shown(validation, 6))
    return Task(objective, train, validation, fingerprint(config.train_csv), None, notes)


def vocoder_task(config: StageConfig) -> Task:
    """Stage F on the sound of the config's speech, and on its copies by a Talker's codec where it names one."""
    config = cast(VocoderConfig, config)
    train, validation, notes = crops(config)
    data, codec = fingerprint(config.train_csv), None
    if config.talker:
        begun = trained_or_shipped(config.talker, "talker")
        codec, notes = load_codec(begun), [f"every second mel is a copy of the codec's in {name_of(begun)}", *notes]
        must_agree(config, codec.config, {name: name for name in MEL})
        data += f" {fingerprint(checkpoint_folder(begun) / WEIGHTS)}"
    objective = VocoderObjective(config, shown(validation, 1), codec)
    return Task(objective, train, validation, data, None, notes)


def omni_sft_task(config: StageConfig) -> Task:
    """Stage E on all of the config's data, from the newest Thinker, audio encoder and vision encoder."""
    config = cast(OmniSFTConfig, config)
    tokenizer = matching_tokenizer(config)
    model, folders = beginning(config, tokenizer)
    train, validation, left_out = rows_of(config, tokenizer, model)
    objective = OmniObjective(config, model, tokenizer, shown(validation, 4))
    files = [Path(config.train_text), Path(config.train_manifest), Path(config.train_csv), Path(config.ocr_csv)]
    files += [folder / WEIGHTS for folder in folders]
    data = " ".join([*(fingerprint(file) for file in files if file.exists()), tokenizer.fingerprint])
    notes = [f"begins with {name_of(folder)}" for folder in folders]
    return Task(objective, train, validation, data, Path(config.tokenizer), [*notes, *left_out])


def shown(examples: Examples, n: int) -> Any:
    """A batch of the first `n` examples, for samples; None where there are none."""
    n = min(n, len(examples))
    return examples.collate([examples[Place(0, index)] for index in range(n)]) if n else None


def matching_tokenizer(
    config: ThinkerConfig | AudioEncConfig | VisionConfig | TalkerConfig | OmniSFTConfig,
) -> Tokenizer:
    """The Thinker's tokenizer, trained now if there is none; it must have as many pieces as the model embeds."""
    data = Path(config.tokenizer).parent.parent
    text = config.train_text if isinstance(config, ThinkerConfig) else SOURCES["thinker"].first(data)
    tokenizer = load_or_train_tokenizer(config.tokenizer, text or data / "text/tiny_corpus.txt", config.vocab_size)
    if tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"is {config.vocab_size}, but {config.tokenizer} has {tokenizer.vocab_size} pieces",
            field="vocab_size",
            fix="Set vocab_size to that number, or run `muomni update-configs`.",
        )
    return tokenizer


TASKS: dict[str, Callable[[StageConfig], Task]] = {
    "thinker": thinker_task,
    "audio_enc": audio_enc_task,
    "vision": vision_task,
    "talker": talker_task,
    "vocoder": vocoder_task,
    "omni_sft": omni_sft_task,
    "ocr": ocr_task,
}
"""The stages that can be trained."""

BEFORE: dict[str, tuple[str, Callable[[StageConfig], StageConfig], Callable[[StageConfig], Task]]] = {
    "talker": ("codec", codec_config, codec_task)
}
"""What is trained before a stage itself, in a run of its own that goes on where it was, or is used when it is done."""


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
    before = BEFORE.get(config.stage_name)
    if before is not None:
        part, make_config, make_first = before
        its_config, tell = make_config(config), listener or (lambda event: None)

        def not_the_end(event: Event) -> None:
            if not (isinstance(event, Finished) and event.reason == "finished"):
                tell(event)

        tell(Began(part))
        begun = RunFolder(its_config.save_dir).has_run and not replace
        result = _fit(its_config, make_first, begun or resume, replace, not_the_end, control)
        if result.reason != "finished":
            return result
        tell(Began(config.stage_name))
        resume = resume and RunFolder(config.save_dir).has_run
    return _fit(config, make_task, resume, replace, listener, control)


def _fit(
    config: StageConfig,
    make_task: Callable[[StageConfig], Task],
    resume: bool,
    replace: bool,
    listener: Listener | None,
    control: Control | None,
) -> Result:
    """One run of the loop."""
    processes = join_processes(config)
    folder = RunFolder(config.save_dir)
    if replace and processes.first:
        folder.clear()
    torch.manual_seed(config.seed)
    task = processes.one_first(lambda: make_task(config))
    for note in task.notes if listener is not None and processes.first else ():
        listener(Noted(note))  # type: ignore[misc]  # there is one
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
