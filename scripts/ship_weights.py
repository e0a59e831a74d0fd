"""Puts a run's best checkpoint among the weights that come with the package.

`python scripts/ship_weights.py thinker checkpoints/thinker_nano` writes muomni/weights/nano/thinker/: the weights in
half precision, the config (its paths as in `configs/`), the tokenizer where there is one, and a model card with the
data, the seed, the command and the scores on held-out data. Weights that are there already are replaced only by better
ones. `--made-by` names the command that made the training data, where it was not `muomni data make`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import torch

from muomni.config import read_config
from muomni.errors import UserError
from muomni.evaluate.ladder import LADDERS
from muomni.evaluate.score import Score
from muomni.evaluate.scorecard import evaluate
from muomni.files import write_json, write_text
from muomni.infer.load import WEIGHTS_FOLDER, checkpoint_folder
from muomni.models.checkpoint import CONFIG, TOKENIZER, WEIGHTS, read_model, save_tensors
from muomni.plan.parameters import count_parameters
from muomni.train.checkpoint import STATE, RunFolder

CONFIGS = Path(__file__).parent.parent / "configs"

DECIDES = {
    "thinker": ("excess", -1),
    "audio_enc": ("wer_new_sentences", -1),
    "vision": ("r_at_1", 1),
    "talker": ("tts_wer", -1),
    "vocoder": ("pesq", 1),
    "ocr": ("exact_new_words", 1),
    "omni_sft": ("vqa", 1),
}
"""The metric that decides between two sets of weights, and whether more of it is better."""

UNTOLD = "(a mean of several runs does not know: tell it here)"
"""Stands in a card where a checkpoint has no state or no history, as a mean of several has none."""


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Fractions in half precision; whole numbers as they are."""
    return {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}


def with_public_paths(config: Path, stage: str, profile: str) -> dict[str, object]:
    """A run's config with every path as the profile's own config has it."""
    public = json.loads((CONFIGS / f"{stage}_{profile}.json").read_text(encoding="utf-8"))
    paths = {name: value for name, value in public.items() if isinstance(value, str) and "/" in value}
    own = json.loads(config.read_text(encoding="utf-8"))
    return own | {name: value for name, value in paths.items() if name in own}


def ship(stage: str, run: Path, profile: str, data: Path, made_by: str) -> Path:
    """Write the weights of a run, and their card, into the package."""
    source = checkpoint_folder(run)
    _, weights = read_model(source)
    weights = {name: t for name, t in weights.items() if not name.startswith("discriminators.")}
    target = WEIGHTS_FOLDER / profile / stage
    staging = target.with_name(f".{stage}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        save_tensors(staging / WEIGHTS, halved(weights))
        write_json(staging / CONFIG, with_public_paths(source / CONFIG, stage, profile))
        if (source / TOKENIZER).exists():
            shutil.copyfile(source / TOKENIZER, staging / TOKENIZER)
        scores = scores_of(stage, staging, data)
        if stage == "vocoder":
            must_beat_griffin_lim(run, scores)
        metric, sign = DECIDES[stage]
        if (target / CONFIG).exists():
            old = scores_of(stage, target, data) if usable(stage, target) else {}
            if old and sign * scores[metric].value <= sign * old[metric].value:
                problem = f"{metric} is {scores[metric].value:.4f}, not better than {old[metric].value:.4f}"
                raise UserError(problem, file=run, fix="The weights that are there stay.")
        write_text(staging / "README.md", card(stage, profile, source, run, scores, made_by))
        shutil.rmtree(target, ignore_errors=True)
        staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def usable(stage: str, folder: Path) -> bool:
    """Whether weights still load: a Talker no longer does once the Thinker that it listens to is another."""
    try:
        LADDERS[stage].load(folder)
    except UserError as error:
        print(f"what is there can no longer be used: {error.problem}")
        return False
    return True


def must_beat_griffin_lim(run: Path, scores: dict[str, Score]) -> None:
    """Speaking takes the shipped vocoder wherever there is one: it must be worth it."""
    for metric, sign in (("pesq", 1), ("stft", -1)):
        if metric not in scores:
            raise UserError(f"{metric} could not be measured", file=run, fix="Install the package pesq.")
        own, bar = scores[metric].value, scores[f"{metric}_griffin_lim"].value
        if sign * own <= sign * bar:
            raise UserError(f"{metric} is {own:.3f}, Griffin-Lim's {bar:.3f}", file=run, fix="Train it for longer.")


def scores_of(stage: str, folder: Path, data: Path) -> dict[str, Score]:
    """Every metric of a stage's weights on held-out data."""
    card = evaluate([stage], folder, data, progress=True)
    return {metric: score for each in card.stages for metric, score, _ in each.scores()}


def card(stage: str, profile: str, source: Path, run: Path, scores: dict[str, Score], made_by: str) -> str:
    """The model card."""
    config = read_config(source / CONFIG).config
    history = [entry for entry in RunFolder(run).history() if "seconds" in entry]
    trained = source / STATE
    state = json.loads(trained.read_text(encoding="utf-8")) if trained.exists() else {}
    minutes = sum(
        entry["seconds"] for entry, after in pairwise([*history, {"seconds": 0}]) if after["seconds"] < entry["seconds"]
    )
    rows = "\n".join(
        f"| {name} | {score.value:.4f} | {score.low:.4f} to {score.high:.4f} | {score.n:,} | {score.split} |"
        for name, score in scores.items()
    )
    return f"""# {config.title}, {profile}

{count_parameters(config):,} parameters, in half precision. Trained from zero on the tiny world, which
muomni generates; no other data was used.

| | |
|---|---|
| data | the tiny world (`{made_by}`); fingerprint {state.get("data", UNTOLD)} |
| seed | {config.seed} |
| config | `config.json` beside this file |
| steps | {f"{state['step']:,}" if state else UNTOLD}, batches of {config.effective_batch_size} |
| time | {f"{minutes / 60:.0f} minutes" if history else UNTOLD} by the clock, one CPU thread beside other work |
| command | `muomni train {stage} --config {CONFIG}` |
| licence | MIT, as the project |

Scores on held-out data, with 95 % intervals (`muomni eval {stage} --weights shipped`):

| metric | value | interval | examples | split |
|---|---|---|---|---|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=sorted(DECIDES))
    parser.add_argument("run", type=Path)
    parser.add_argument("--profile", default="nano")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--made-by", default="muomni data make")
    options = parser.parse_args()
    try:
        print(ship(options.stage, options.run, options.profile, options.data, options.made_by))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
