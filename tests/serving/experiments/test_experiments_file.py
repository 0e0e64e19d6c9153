"""What an experiments file can say wrong, and the sentence it gets."""

from pathlib import Path

import pytest

from components.contract.errors import ServiceFileError
from serving.experiments.file import load_experiments, parse_experiments

ROOT = Path(__file__).resolve().parents[3]
FILE = """\
salt: shop
layers:
  - name: ranker
    experiments:
      - name: canary
        traffic: 10%
        arms:
          - {name: control, share: 50%}
          - {name: new, share: 50%, model: canary}
      - name: dull
        from: 50%
        traffic: 30%
        arms:
          - {name: lot, share: 60%, baseline: shuffle}
          - {name: given, share: 40%, baseline: keep-order}
  - name: shelf
    experiments:
      - name: variety
        traffic: 100%
        arms:
          - {name: plain, share: 0.5}
          - {name: mixed, share: 0.5, rules: varied}
"""


def faults(old: str, new: str) -> str:
    """The error of the file in which one text is replaced, without the name in front."""
    assert FILE.count(old) == 1, old
    with pytest.raises(ServiceFileError) as raised:
        parse_experiments(FILE.replace(old, new), "f.yaml", rule_sets=["varied"])
    return str(raised.value).replace("f.yaml, ", "")


def test_a_good_file_is_read() -> None:
    made = parse_experiments(FILE, rule_sets=["varied"])
    canary, dull = made.layers[0].experiments
    assert (canary.start, canary.end, dull.start, dull.end) == (0, 0.1, 0.5, 0.8)
    assert [arm.share for arm in dull.arms] == [0.6, 0.4]
    assert [arm.subject for layer in made.layers for e in layer.experiments for arm in e.arms] == [
        "",
        "scores",
        "scores",
        "scores",
        "",
        "rules",
    ]


def test_no_layers_is_no_experiment() -> None:
    assert parse_experiments("salt: shop", rule_sets=[]).layers == ()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("salt: shop\n", "", "line 1: `salt` is missing"),
        ("salt: shop", "salt: ''", "line 1: salt: expected 1 character or more, got ''"),
        ("salt: shop", "slat: shop", "line 1: slat: unknown key 'slat'; did you mean 'salt'?"),
        ("model: canary", "modle: canary", "line 9: layers[0].experiments[0].arms[1].modle: unknown key 'modle'; did you mean 'model'?"),
        ("from: 50%", "form: 50%", "line 11: layers[0].experiments[1].form: unknown key 'form'; did you mean 'from'?"),
        (
            "traffic: 10%",
            "traffic: 110%",
            "line 6: layers[0].experiments[0].traffic: expected a share from 0% to 100%, such as 10%, got '110%'",
        ),
        (
            "traffic: 10%",
            "traffic: a lot",
            "line 6: layers[0].experiments[0].traffic: expected a share from 0% to 100%, such as 10%, got 'a lot'",
        ),
        (
            "traffic: 10%",
            "traffic: true",
            "line 6: layers[0].experiments[0].traffic: expected a share from 0% to 100%, such as 10%, got True",
        ),
        (
            "share: 60%",
            "share: 50%",
            "line 10: layers[0].experiments[1]: the shares of its arms make 90%; expected 100% of the experiment's shoppers",
        ),
        (
            "from: 50%",
            "from: 80%",
            "line 10: layers[0].experiments[1]: 30% from 80% on end at 110%; a layer has 100%, so lower `traffic` or `from`",
        ),
        (
            "from: 50%",
            "from: 5%",
            "line 10: layers[0].experiments[1]: 'dull' has the shoppers from 5% to 35%, 'canary' those from 0% to 10%; a shopper is in one"
            " experiment of a layer, so move one by `from`, or put it into another layer",
        ),
        (
            "model: canary",
            "model: canary, baseline: shuffle",
            "line 9: layers[0].experiments[0].arms[1]: an arm changes one thing, got `model` and `baseline`; keep one",
        ),
        (
            "baseline: shuffle",
            "baseline: random",
            "line 14: layers[0].experiments[1].arms[0].baseline: expected 'keep-order', 'popularity' or 'shuffle', got 'random'",
        ),
        (
            "name: given",
            "name: lot",
            "line 10: layers[0].experiments[1]: two arms are called 'lot'; give them names of their own",
        ),
        (
            "rules: varied",
            "rules: variad",
            "line 22: layers[1].experiments[0].arms[1].rules: the rules file has no set 'variad'; did you mean 'varied'?",
        ),
        (
            "rules: varied",
            "model: stable",
            "line 22: layers[1].experiments[0].arms[1]: arms of the layer 'ranker' choose a model, a baseline or interleaving as well, and"
            " a shopper is in both; keep such arms in one layer",
        ),
        (
            "name: dull",
            "name: canary",
            "line 10: layers[0].experiments[1]: the layer 'ranker' has an experiment 'canary' already; rename one",
        ),
        (
            "name: variety",
            "name: canary",
            "line 18: layers[1].experiments[0]: the layer 'ranker' has an experiment 'canary' already; rename one",
        ),
        (
            "name: shelf",
            "name: ranker",
            "line 16: layers[1]: a second layer is called 'ranker'; its shoppers would be placed alike, so give it a name of its own",
        ),
        ("name: shelf", "name: Shelf", "line 16: layers[1].name: expected text of the form ^[a-z][a-z0-9_]*$, got 'Shelf'"),
        (
            "          - {name: plain, share: 0.5}\n",
            "",
            "line 18: layers[1].experiments[0]: got one arm; an experiment compares at least two, or has one that interleaves",
        ),
        (
            "baseline: shuffle",
            "interleave: [{name: a}]",
            "line 14: layers[0].experiments[1].arms[0]: `interleave` takes two teams, got 1; compare more by an experiment for each pair",
        ),
        (
            "baseline: shuffle",
            "interleave: [{name: a}, {name: a, model: canary}]",
            "line 14: layers[0].experiments[1].arms[0]: both teams are called 'a'; give them names of their own",
        ),
        (
            "baseline: shuffle",
            "interleave: [{name: a}, {name: b, model: canary, baseline: shuffle}]",
            "line 14: layers[0].experiments[1].arms[0].interleave[1]: a team has one ranker, got `model` and `baseline`; keep one",
        ),
        (
            "baseline: shuffle",
            "baseline: shuffle, interleave: [{name: a}, {name: b}]",
            "line 14: layers[0].experiments[1].arms[0]: an arm changes one thing, got `baseline` and `interleave`; keep one",
        ),
        (
            "baseline: shuffle",
            "interleave: [{name: a}, {name: b, modle: canary}]",
            "line 14: layers[0].experiments[1].arms[0].interleave[1].modle: unknown key 'modle'; did you mean 'model'?",
        ),
        (
            "        from: 50%",
            "        from: 50%\n        switchback: 10s",
            "line 10: layers[0].experiments[1]: slots of 10 s; `switchback` is at least 60 s, as a visit is in one slot or two",
        ),
        ("salt: shop\n", "salt: shop\nsalt: other\n", "line 2: the key 'salt' stands twice, first in line 1; keep one"),
    ],
)
def test_a_fault_is_told_with_its_line_and_remedy(old: str, new: str, sentence: str) -> None:
    assert faults(old, new).partition(", got [{")[0] == sentence


def test_no_experiment_is_called_as_the_holdout_is() -> None:
    text = FILE.replace("name: dull", "name: holdout")
    assert parse_experiments(text, rule_sets=["varied"]).holdout is None
    with pytest.raises(ServiceFileError, match=r"the log calls the file's holdout 'holdout'; rename the experiment"):
        parse_experiments(text + "holdout: {share: 5%}\n", rule_sets=["varied"])


def test_two_layers_that_choose_rules_are_refused() -> None:
    told = faults("model: canary", "rules: varied")
    assert told == (
        "line 22: layers[1].experiments[0].arms[1]: arms of the layer 'ranker' choose rules as well, and a shopper is in both;"
        " keep such arms in one layer"
    )


def test_ranges_that_touch_do_not_overlap() -> None:
    """10% + 20% is more than 30% in binary."""
    text = FILE.replace("traffic: 10%", "from: 10%\n        traffic: 20%").replace("from: 50%", "from: 30%")
    assert len(parse_experiments(text, rule_sets=["varied"]).layers[0].experiments) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("salt: [", "f.yaml: expected YAML: "),
        ("- salt", "f.yaml: expected a mapping such as `salt: my_shop`, got list"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ServiceFileError, match="^" + sentence.replace("[", r"\[")):
        parse_experiments(text, "f.yaml", rule_sets=[])


def test_a_missing_file_names_an_example_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(
        ServiceFileError, match=r"expected an experiments file, found none; `examples/serving/experiments.yaml` is one to start from"
    ):
        load_experiments(tmp_path / "none.yaml", rule_sets=[])
    assert (ROOT / "examples" / "serving" / "experiments.yaml").exists()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ServiceFileError, match="can't be read as a text file"):
        load_experiments(tmp_path / "f.yaml", rule_sets=[])
