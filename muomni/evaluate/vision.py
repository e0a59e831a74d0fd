"""Stage C: a vision encoder on new scenes, unseen pairs of color and shape, emoji, and photographs.

| rung | scores |
|---|---|
| new scenes | `r_at_1`, `r_at_5`, `r_at_10`, the same `_by_caption`, `r_at_1_true`, `zero_shot` |
| unseen pairs | the same, `_new_pairs` |
| emoji | `zero_shot_emoji` |
| photographs | none: the world has no words for them |
"""

from __future__ import annotations

from muomni.errors import UserError
from muomni.evaluate.emoji import PACKAGE, emoji
from muomni.evaluate.material import Material, Unavailable
from muomni.evaluate.pictures import RECALLS, distinct, record_of, retrieval, zero_shot
from muomni.evaluate.rung import Ladder, Rung
from muomni.evaluate.score import Score
from muomni.infer.load import load_looker
from muomni.infer.look import TrainedLooker

METRICS = (
    *(f"r_at_{k}{suffix}" for suffix in ("", "_by_caption") for k in RECALLS),
    "r_at_1_true",
    "zero_shot",
)


def _scenes(trained: TrainedLooker, material: Material, split: str, suffix: str) -> dict[str, Score]:
    table = f"images/{split}.json"
    rows = material.rows(table, "image")
    found = retrieval(trained, distinct(material.spread(rows)), split, material.seed)
    alone = material.spread([row for row in rows if record_of(row).kind == "single"])
    if not alone:
        raise UserError("shows no scene with a single thing", file=material.data / table)
    pairs = [(thing.color, thing.shape) for row in alone for thing in record_of(row).objects]
    found["zero_shot"] = zero_shot(trained, [row.path for row in alone], pairs, split, material.seed)
    return {name + suffix: score for name, score in found.items()}


def new_scenes(trained: TrainedLooker, material: Material) -> dict[str, Score]:
    return _scenes(trained, material, "test", "")


def unseen_pairs(trained: TrainedLooker, material: Material) -> dict[str, Score]:
    return _scenes(trained, material, "test_new_pairs", "_new_pairs")


def emoji_pictures(trained: TrainedLooker, material: Material) -> dict[str, Score]:
    pictures, pairs = emoji(trained.model.config.img_size)
    return {"zero_shot_emoji": zero_shot(trained, pictures, pairs, "emoji", material.seed)}


def photographs(trained: TrainedLooker, material: Material) -> dict[str, Score]:
    raise Unavailable("the world has no words for what photographs show; a model of this vocabulary would fail")


LADDER = Ladder(
    load_looker,
    ("images/test.json", "images/test_new_pairs.json"),
    (
        Rung("new scenes", METRICS, "images", new_scenes, ("r_at_1", "zero_shot")),
        Rung(
            "unseen pairs",
            tuple(f"{name}_new_pairs" for name in METRICS),
            "images",
            unseen_pairs,
            ("r_at_1_new_pairs", "zero_shot_new_pairs"),
        ),
        Rung("emoji", ("zero_shot_emoji",), f"package:{PACKAGE}", emoji_pictures, ("zero_shot_emoji",)),
        Rung("photographs", ("photographs",), "package:scikit-image", photographs),
    ),
)
