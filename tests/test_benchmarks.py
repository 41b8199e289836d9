import importlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def test_the_benchmark_compares_equal_results_and_writes_its_table(benchmark, tmp_path, capsys):
    out = tmp_path / "bench.json"
    benchmark("run").main(["--model", "tiny", "--prompts", "3", "--rounds", "1", "--out", str(out)])
    lines = json.loads(out.read_text())["lines"]
    assert len({line["case"] for line in lines}) == 3
    assert all(line["speed"] > 0 for line in lines)
    assert "LoRA step" in capsys.readouterr().out


def test_a_contender_with_another_result_is_refused(benchmark):
    measure = benchmark("measure")
    case = measure.Case(
        name="count",
        contenders={"ours": lambda: 1, "theirs": lambda: 2},
        same=lambda a, b: a == b,
        unit="units",
        work=lambda result: result,
        flops=lambda result: result,
    )
    with pytest.raises(RuntimeError, match="theirs has another result than ours"):
        measure.measure(case, rounds=1, peak=1.0)
