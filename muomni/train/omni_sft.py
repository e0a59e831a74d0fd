"""Stage E: the Thinker learns to answer about what it reads, sees and hears. Loss on answers only.

The model begins as the newest Thinker, audio encoder and vision encoder; only the projectors and places are new.
Frozen encoders run without gradients, all pictures of a batch at once and all sounds at once: a small part of a step.
"""

from __future__ import annotations

from pathlib import Path

import torch

from muomni.config import OmniSFTConfig, read_config
from muomni.config.agreement import must_agree
from muomni.config.stages import DecoderConfig
from muomni.data.packed import token_stream
from muomni.data.tokenizer import Tokenizer
from muomni.errors import UserError
from muomni.infer.load import checkpoint_folder, load_listener, load_looker, load_omni, load_thinker, trained_or_shipped
from muomni.models.checkpoint import CONFIG, fill
from muomni.models.omni import OmniModel
from muomni.nn.loss import IGNORED
from muomni.plan.schedule import training_examples
from muomni.train.objective import Loss, Objective, Sample, Turn
from muomni.train.omni_data import TASKS, Batch, Conversations, conversations

AGREE = "Make the configs agree (`muomni doctor` names the settings), or name another run."
FEW_ROWS = 400
"""Rows that validate, at most."""


def beginning(config: OmniSFTConfig, tokenizer: Tokenizer) -> tuple[OmniModel, list[Path]]:
    """The model with the weights of stages A, B and C, or of an earlier omni run, and the folders that they are from.

    Raises:
        UserError: a stage has neither a run nor shipped weights, or is of another shape than the config says.
    """
    model = OmniModel(config)
    begun = trained_or_shipped(config.thinker, "thinker")
    if isinstance(read_config(checkpoint_folder(begun) / CONFIG).config, OmniSFTConfig):
        omni = load_omni(begun)
        same_tokenizer(omni.tokenizer, tokenizer, config, omni.folder)
        keeps_its_shift(config, omni.model.config)
        fill(model, omni.model.state_dict(), omni.folder, AGREE)
        return model, [omni.folder]
    thinker = load_thinker(begun)
    listener = load_listener(trained_or_shipped(config.audio_enc, "audio_enc"))
    looker = load_looker(trained_or_shipped(config.vision, "vision"))
    same_tokenizer(thinker.tokenizer, tokenizer, config, thinker.folder)
    parts = (
        (model.thinker, thinker.model.state_dict(), thinker.folder),
        (model.audio, listener.model.state_dict(), listener.folder),
        (model.vision, looker.model.vision.state_dict(), looker.folder),
    )
    for part, weights, folder in parts:
        fill(part, weights, folder, AGREE)
    sound = ("sample_rate", "n_mels", "n_fft", "hop_length", "downsample")
    alike = (
        (listener.model.config, {name: name for name in sound}),
        (looker.model.config, {"attention_window": "vision_window"}),
        (thinker.model.config, {"rope_theta": "rope_theta"}),
    )
    for theirs, names in alike:  # what no weight's shape shows
        must_agree(config, theirs, names)
    keeps_its_shift(config, thinker.model.config)
    begin_control_tokens(model, tokenizer)
    return model, [folder for _, _, folder in parts]


def keeps_its_shift(config: OmniSFTConfig, theirs: DecoderConfig) -> None:
    """Nothing, unless the run that this one begins with has learned with `token_shift` and this one would not.

    The other way round is allowed, and what nano does: stage A trains a plain Llama, and E learns to look next door.
    """
    if theirs.token_shift:
        must_agree(config, theirs, {"token_shift": "token_shift"})


def same_tokenizer(theirs: Tokenizer, ours: Tokenizer, config: OmniSFTConfig, folder: Path) -> None:
    """Nothing, where a run that this one begins with reads the same pieces.

    Raises:
        UserError: its tokenizer is another than the config's.
    """
    if theirs.fingerprint != ours.fingerprint:
        raise UserError(
            f"is another tokenizer than that of the Thinker in {folder}",
            file=config.tokenizer,
            fix="Train stage A with it, or use the Thinker's own tokenizer.model.",
        )


@torch.no_grad()
def begin_control_tokens(model: OmniModel, tokenizer: Tokenizer) -> None:
    """Let the control tokens begin as what stands for them in stage A's text: "Q:", "A:" and the end of text.

    No text of stage A has them, so their embeddings would begin as noise.
    """
    table = model.thinker.embedding.weight
    stands_for = {"<|user|>": " Q:", "<|assistant|>": " A:"}
    for name, text in stands_for.items():
        table[tokenizer.special[name]] = table[tokenizer.encode(text)].mean(0)
    table[tokenizer.special["<|end|>"]] = table[tokenizer.eot_id]


def rows_of(
    config: OmniSFTConfig, tokenizer: Tokenizer, model: OmniModel
) -> tuple[Conversations, Conversations, list[str]]:
    """Training and validation rows: as many an epoch as the text would fill, which is how runs are planned."""
    tokens = len(token_stream(config.train_text, tokenizer, documents="lines"))
    training = training_examples(tokens, config.val_split)
    n_rows = max(1, training // config.ctx_len)
    n_validation = min(FEW_ROWS, (tokens - training) // config.ctx_len)
    return conversations(config, tokenizer, model.audio.seconds_per_frame, (n_rows, n_validation))


class OmniObjective(Objective):
    """Cross-entropy of answers in nats; held out, also the share of answers foretold without a mistake.

    An answer is foretold where every token of it is the likeliest after the right ones before: then greedy decoding
    writes it.
    """

    model: OmniModel

    def __init__(
        self, config: OmniSFTConfig, model: OmniModel | None = None, tokenizer: Tokenizer | None = None,
        shown: Batch | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model or OmniModel(config), config, (Turn("omni", config.lr),))
        self.tokenizer, self.shown = tokenizer, shown

    def train(self, mode: bool = True) -> OmniObjective:
        """Frozen parts are never in training mode."""
        super().train(mode)
        config = self.model.config
        for part, trains in ((self.model.audio, config.train_audio), (self.model.vision, config.train_vision)):
            part.train(mode and trains)
        return self

    def forward(self, batch: Batch, turn: Turn) -> Loss:
        if self.training:
            return Loss(self.model.loss(batch.rows, batch.targets))
        right = self.right(batch)
        metrics = {"right": float(right.mean())} if len(right) else {}
        return Loss(self.model.loss(batch.rows, batch.targets), metrics)

    @torch.no_grad()
    def guesses(self, batch: Batch) -> torch.Tensor:
        """(M,): the likeliest token at each of the M judged places."""
        hidden = self.model.hidden(batch.rows)[batch.targets != IGNORED]
        return (hidden @ self.model.thinker.output_weight.to(hidden.dtype).T).argmax(-1)

    @torch.no_grad()
    def right(self, batch: Batch) -> torch.Tensor:
        """(A,): 1 for every answer that is foretold without a mistake, else 0."""
        judged = batch.targets != IGNORED
        same = (self.guesses(batch) == batch.targets[judged]).float()
        found = torch.ones(len(batch.tasks), device=same.device)
        return found.scatter_reduce(0, batch.answers[judged], same, "amin")

    def by_task(self, batch: Batch) -> dict[str, tuple[int, int]]:
        """Of each task in the batch, the answers foretold and all."""
        right = self.right(batch)
        found = {}
        for number, task in enumerate(TASKS):
            mine = right[batch.tasks == number]
            if len(mine):
                found[task] = (int(mine.sum()), len(mine))
        return found

    def weight(self, batch: Batch) -> float:
        return float((batch.targets != IGNORED).sum())

    def units(self, batch: Batch) -> int:
        return int((batch.rows.documents >= 0).sum())

    @torch.no_grad()
    def sample(self, seed: int) -> Sample | None:
        """Some held-out answers: the right one, and what the model says in its place."""
        if self.shown is None or self.tokenizer is None:
            return None
        judged = self.shown.targets != IGNORED
        said, right = self.guesses(self.shown), self.shown.targets[judged]
        numbers = self.shown.answers[judged]
        lines = []
        for number in range(0, len(self.shown.tasks), max(1, len(self.shown.tasks) // 6)):
            mine = numbers == number
            task = TASKS[int(self.shown.tasks[number])]
            told, wanted = (self.tokenizer.decode(each[mine].tolist()).strip() for each in (said, right))
            lines.append(f"{task}: {wanted}\n  says: {told}")
        return Sample("answers", "\n".join(lines))
