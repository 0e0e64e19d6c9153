"""The pages of the service say what is so: their files load, their tables name what there is."""

import re
from pathlib import Path
from typing import get_args

import yaml

from components.contract.load import load_dataset, parse_dataset
from serving.experiments.file import Arm, Baseline, Experiment, parse_experiments
from serving.exposure.dataset_section import events_section
from serving.exposure.log import LogSettings
from serving.guard.counts import VersionCounts
from serving.guard.decision import decide
from serving.guard.sequential_test import Limits, SequentialTest
from serving.rules.file import Rule, parse_rules
from tests.serving.exposure.shop_log import SHOP

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("how-to/experiments.md", "reference/exposure-log.md", "how-to/guard.md")
EXPERIMENTS, LOG, GUARD = ((ROOT / "docs" / name).read_text() for name in PAGES)


def blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)


def test_the_files_on_the_page_of_experiments_load() -> None:
    experiments, interleaved, switchback, holdout, rules = blocks(EXPERIMENTS)
    assert parse_experiments(experiments, rule_sets=[]).layers[0].experiments[0].name == "canary_9"
    assert parse_experiments(interleaved, rule_sets=[]).layers[0].experiments[0].arms[0].interleave is not None
    assert parse_experiments(switchback, rule_sets=[]).layers[0].experiments[0].switchback == 1800
    assert parse_experiments(holdout, rule_sets=[]).holdout is not None
    assert parse_rules(rules, load_dataset(ROOT / "examples/simulated_shop.yaml")).sets["default"][0].name == "recalled"


def test_the_page_of_experiments_names_each_key_kind_and_baseline() -> None:
    kinds = {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(get_args(Rule)[0])}
    keys = {field.alias or name for model in (Arm, Experiment, *kinds.values()) for name, field in model.model_fields.items()}
    named = set(re.findall(r"`([\w-]+)", EXPERIMENTS)) | set(re.findall(r"(\w+):", "".join(blocks(EXPERIMENTS))))
    assert {*keys, *kinds} - named == set()
    assert all(f"`baseline: {baseline}`" in EXPERIMENTS for baseline in get_args(Baseline))


def test_the_section_on_the_page_of_the_log_is_what_is_printed() -> None:
    dataset = parse_dataset(SHOP.replace(", session: visit", "").replace("  - {name: ruled, kind: category, side: context}\n", ""))
    (section,) = blocks(LOG)
    assert yaml.safe_load(section) == yaml.safe_load(events_section(dataset, "log"))
    assert section == events_section(dataset, "log")


def test_the_page_of_the_log_names_its_settings() -> None:
    assert [name for name in LogSettings.__dataclass_fields__ if name != "folder" and f"`{name}`" not in LOG] == []


def test_the_sentence_on_the_page_of_the_guard_is_one_of_its_own() -> None:
    watch = SequentialTest.new()
    for _ in range(12):
        blocks_ = (VersionCounts.from_counts(requests=100, settled=100, clicked=clicked, slow=2) for clicked in (4, 10))
        watch = watch.add_block(*blocks_, Limits())
    found = decide(watch, Limits())
    assert f"    {found.decision}: {found.reason}\n" in GUARD


def test_the_limits_on_the_page_of_the_guard_are_the_defaults() -> None:
    limits = Limits()
    assert f"`click_loss` ({limits.click_loss:.0%} of stable's)".replace("%", " %") in GUARD
    assert f"`error_rise` ({limits.error_rise})" in GUARD
    assert f"`slow_rise` ({limits.slow_rise})" in GUARD
    assert f"`score_shift` ({limits.score_shift})" in GUARD
    assert f"`min_requests` ({limits.min_requests:,})" in GUARD
