"""The tiny world: one seeded scene record, described, asked about, drawn, spoken and written.

`scene` makes a record; `document` writes a line of text about it; `log_prob` gives the exact probability of any text;
`make_text` writes the corpus. The other senses are further views of the same record.
"""

from muomni.data.world.check import check_document
from muomni.data.world.entropy import Entropy, entropy_per_token, log_prob
from muomni.data.world.grammar import Document, document, document_at
from muomni.data.world.lexicon import HELD_OUT, SPOKEN, WORLD, World
from muomni.data.world.make import make_text, make_world
from muomni.data.world.scene import Object, Scene, Word, scene
from muomni.data.world.splits import split_of

__all__ = [
    "HELD_OUT",
    "SPOKEN",
    "WORLD",
    "Document",
    "Entropy",
    "Object",
    "Scene",
    "Word",
    "World",
    "check_document",
    "document",
    "document_at",
    "entropy_per_token",
    "log_prob",
    "make_text",
    "make_world",
    "scene",
    "split_of",
]
