"""A service answers and logs; the audit finds its decisions, and computes their scores again from the release and the log."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.contract.columns import input_columns
from components.contract.storage.object_store import Address
from components.release.manifest import read_manifest
from pipeline.audit.audit import AuditConfig, Audits, Status, audit
from pipeline.audit.decision import Decision
from pipeline.audit.facts import lineage_facts
from pipeline.cli.main import main
from serving.exposure.erase import request_erasure
from tests.pipeline.audit.audited_shop import RULES, Store, logging_service, served_store
from tests.serving.service.little_shop import ITEMS, SHOP, dataset

ASKED: dict[str, Any] = {"shopper": "a", "session": "s", "context": {"device": "mobile", "taste": [0.5, None]}, "places": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with served_store(tmp_path_factory.mktemp("audited")) as made:
        yield made


@pytest.fixture(scope="module")
def log(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one request, `r1`, whose second product was clicked, and one, `r2`, of a guest."""
    folder = tmp_path_factory.mktemp("log")
    (folder.parent / "rules.yaml").write_text(RULES)
    shop_files = {"rules": folder.parent / "rules.yaml"}
    with logging_service(store, folder, shop_files) as service:
        service.post("/v1/events", {"interactions": [{"action": "click", "item": "p1", "shopper": "a"}]})
        order = service.rank(*ITEMS, **ASKED, request="r1", shown={"shown_price": [9, 19, 29, 39, 49, None]})["order"]
        click = {"action": "click", "item": order[1], "shopper": "a", "request": "r1", "position": 1}
        assert service.post("/v1/events", {"interactions": [click]}).status == 200
        service.rank("p3", "p2", request="r2")
    return folder


def audited(log: Path, store: Path, *requests: str, **how: Any) -> Audits:
    return audit(AuditConfig(logs=[log], store=Address.parse(store), **how), requests, say=lambda _: None)


def copied(log: Path, to: Path) -> Path:
    shutil.copytree(log, to, ignore=shutil.ignore_patterns("audit"))
    return to


def changed_decisions(log: Path, change: dict[str, Any]) -> None:
    (file,) = log.glob("decisions-*.jsonl")
    file.write_text("".join(json.dumps(json.loads(line) | change) + "\n" for line in file.read_text().splitlines()))


def test_the_scores_are_computed_again_from_release_and_log(store: Store, log: Path) -> None:
    (found,) = audited(log, store.root, "r1").by_request["r1"]
    assert found.status is Status.SAME
    assert found.rescored is not None
    assert (found.rescored.source, found.rescored.compared) == ("log", 6)
    assert found.rescored.max_difference <= 1e-6
    assert found.decision.scores is not None
    assert max(found.decision.scores) - min(found.decision.scores) > 0.5  # they'd differ, were they another list's


def test_it_tells_what_was_shown_by_which_rules_and_what_came_of_it(store: Store, log: Path) -> None:
    (found,) = audited(log, store.root, "r1").by_request["r1"]
    decision = found.decision
    shown = [decision.items[index] for index in decision.order]
    assert shown[0] == "p0"
    assert "p5" not in shown
    assert decision.rules_of("p0") == ["ours (pin): from place 5 to place 1"]
    assert decision.rules_of("p5")[0].startswith("recalled (filter): from place ")
    assert decision.rules_of("p2") == []
    assert (decision.shopper, decision.session, decision.shown, decision.version) == ("a", "s", 2, 2)
    assert decision.order_fault == ""
    assert found.actions is not None
    assert [(action.action, action.item, action.position) for action in found.actions] == [("click", shown[1], 1)]


def test_the_release_is_named_with_its_digest_and_what_it_was_made_from(store: Store, log: Path) -> None:
    (found,) = audited(log, store.root, "r1").by_request["r1"]
    assert found.release is not None
    assert found.release.manifest == read_manifest(store.root / "releases" / "2")
    assert (found.release.gone, found.release.intact) == (False, True)


def test_a_logged_score_that_the_release_does_not_compute_is_told(store: Store, log: Path, tmp_path: Path) -> None:
    forged = copied(log, tmp_path / "forged")
    changed_decisions(forged, {"scores": [0.0, 0.0, 0.0, 0.0, 0.0, 2e-6]})
    (found,) = audited(forged, store.root, "r1").by_request["r1"]
    assert found.status is Status.DIFFERENT
    assert found.decision.order_fault != ""


def test_a_release_whose_files_have_changed_confirms_nothing(store: Store, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "store"
    shutil.copytree(store.root, other)
    (other / "releases" / "2" / "assets.extra").mkdir()
    (other / "releases" / "2" / "assets.extra" / "more").write_text("more")
    (found,) = audited(log, other, "r1").by_request["r1"]
    assert (found.status, found.reason.partition(":")[0]) == (Status.DIFFERENT, "the files of release 2 aren't those that were published")


def test_features_that_were_not_logged_are_missed_by_name_of_the_option(store: Store, log: Path, tmp_path: Path) -> None:
    poorer = copied(log, tmp_path / "poorer")
    changed_decisions(poorer, {"features": None})
    (found,) = audited(poorer, store.root, "r1").by_request["r1"]
    assert found.status is Status.NOT_LOGGED
    assert "--logged-features 1" in found.reason
    assert main(["audit", "r1", "--log", str(poorer), "--store", str(store.root)]) == 21


def test_a_release_that_was_pruned_is_said_to_be_gone_with_what_is_known_of_it(
    store: Store, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "store"
    shutil.copytree(store.root, other)
    shutil.copytree(other / "releases" / "2", other / "releases" / "3")
    (other / "releases" / "3" / "manifest.json").write_text(
        read_manifest(other / "releases" / "2").to_json().replace('"version": 2', '"version": 3')
    )
    assert main(["releases", "prune", "--keep", "1", "--releases", str(other / "releases"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": [1, 2]}
    assert main(["audit", "r1", "--log", str(log), "--store", str(other), "--json"]) == 22
    (told,) = json.loads(capsys.readouterr().out)["audits"]
    assert told["release"]["gone"]
    assert told["release"]["digest"] == read_manifest(store.root / "releases" / "2").content
    assert told["release"]["known_from"] == "removed"
    assert told["release"]["there"] == [3]
    assert main(["audit", "r1", "--log", str(log), "--store", str(other), "--no-scores"]) == 22
    capsys.readouterr()
    shutil.rmtree(other / "releases" / "removed")
    assert main(["audit", "r1", "--log", str(log), "--store", str(other), "--json"]) == 22
    assert json.loads(capsys.readouterr().out)["audits"][0]["release"]["manifest"] is None


def test_an_id_that_is_in_no_log_is_told_with_what_was_searched(store: Store, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "r9", "--log", str(log), "--store", str(store.root)]) == 23
    assert "'r9': no decision has this id among 2 decisions in 1 complete files" in capsys.readouterr().err


def test_a_shopper_who_asked_to_be_forgotten_is_not_shown(
    store: Store, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = copied(log, tmp_path / "log")
    request_erasure(theirs, "a", now_us=time.time_ns() // 1000)
    assert main(["audit", "r1", "r2", "--log", str(theirs), "--store", str(store.root), "--json"]) == 23
    told = capsys.readouterr()
    assert [each["request"] for each in json.loads(told.out)["audits"]] == ["r2"]
    assert "asked to be forgotten" in told.err


def test_the_page_and_the_terminal_tell_the_same(store: Store, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "audit.html"
    assert main(["audit", "r1", "r2", "--log", str(log), "--store", str(store.root), "--html", str(page)]) == 0
    shown, html = capsys.readouterr().out, page.read_text()
    for text in ("r1", "r2", "ours (pin): from place 5 to place 1", "follows from scores and rules", "Release 2 scores 6 of 6 candidates"):
        assert text in " ".join(shown.replace("│", " ").split()) or text.startswith("ours")
        assert text in html
    assert "http" not in html.replace("http://www.w3.org", "")


def test_a_decision_that_is_still_in_an_open_file_is_found(store: Store, log: Path, tmp_path: Path) -> None:
    written = copied(log, tmp_path / "log")
    (file,) = written.glob("decisions-*.jsonl")
    file.rename(file.with_name(f"{file.name}.open"))
    found = audited(written, store.root, "r1", rescored=False)
    assert [each.line.sha256 for each in found.by_request["r1"]] == [""]
    assert (found.searched.files, found.searched.open_lines) == (0, 2)


def test_a_decision_that_no_model_made_has_nothing_to_compute_again(store: Store, log: Path, tmp_path: Path) -> None:
    other = copied(log, tmp_path / "log")
    changed_decisions(other, {"scores": None, "version": "", "degraded": "popularity (stable: timeout)"})
    (found,) = audited(other, store.root, "r1").by_request["r1"]
    assert (found.status, found.reason) == (Status.NO_MODEL, "popularity (stable: timeout)")


def test_why_is_told_in_words_from_the_logged_features(store: Store, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "why.html"
    assert main(["audit", "r2", "--log", str(log), "--store", str(store.root), "--why", "--json", "--html", str(page)]) == 0
    rows = json.loads(capsys.readouterr().out)["audits"][0]["list"]
    assert [row["reasons"][0]["text"] for row in rows] == ["price 40", "price 30"]
    assert rows[0]["above"]["reasons"][0]["text"] == "dearer: 40 against 30"
    assert "above p2: dearer: 40 against 30" in page.read_text()


def test_the_lineage_goes_back_to_the_log_files_and_outlives_the_release(store: Store, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "store"
    shutil.copytree(store.root, other)
    report = other / "artifacts" / "SliceReport" / "report" / "16"
    report.mkdir(parents=True)
    document = {
        "dataset": {"text": SHOP},
        "data": {"root": "logs", "files": [{"path": f"logs/{n}.csv", "bytes": n} for n in range(1, 11)]},
        "champion": "release 1",
        "made_at": "2026-02-01T00:00:00+00:00",
        "release": asdict(read_manifest(other / "releases" / "2")),
        "artifacts": {"EventExampleGen.examples": "artifacts/EventExampleGen/examples/3"},
    }
    (report / "lineage.json").write_text(json.dumps(document))
    (found,) = audited(log, other, "r1", rescored=False).by_request["r1"]
    told = [text for _, text in lineage_facts(found)]
    assert told[-10:] == [
        "artifacts/EventExampleGen/examples/3",
        *(f"logs/{n}.csv, {n} bytes" for n in range(1, 9)),
        "and 2 more, all in --json",
    ]
    shutil.rmtree(other / "releases" / "2")
    shutil.rmtree(other / "serving")
    (gone,) = audited(log, other, "r1").by_request["r1"]
    assert gone.status is Status.RELEASE_GONE
    assert gone.release is not None
    assert (gone.release.source, gone.release.dataset) == ("lineage", SHOP)
    assert gone.release.manifest == read_manifest(store.root / "releases" / "2")


def test_features_that_were_not_logged_are_taken_from_the_examples_of_an_ingestion(store: Store, log: Path, tmp_path: Path) -> None:
    poorer = copied(log, tmp_path / "poorer")
    changed_decisions(poorer, {"features": None})
    (found,) = audited(log, store.root, "r1").by_request["r1"]
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(tmp_path / "examples" / "Split-train" / "part-00000")) as out:
        out.write(example_of(found.decision, ["p4", "p1"]).SerializeToString())
    (again,) = audited(poorer, store.root, "r1", examples=str(tmp_path / "examples")).by_request["r1"]
    assert again.status is Status.SAME
    assert again.rescored is not None
    assert (again.rescored.source, again.rescored.compared) == ("examples", 2)
    assert [at for at, score in enumerate(again.rescored.scores) if score == score] == [1, 4]
    (other,) = audited(poorer, store.root, "r2", examples=str(tmp_path / "examples")).by_request["r2"]
    assert other.status is Status.NOT_LOGGED
    assert "Nor does" in other.reason


def example_of(decision: Decision, items: list[str]) -> tf.train.Example:
    """The example of a decision's request with those candidates that were seen, as ingestion writes it."""
    assert decision.features is not None
    example = tf.train.Example()
    columns: dict[str, list[Any]] = {"request": [decision.request], "item": items}
    events = decision.features["n_history"][0]
    for column in input_columns(dataset()):
        (values,) = decision.features[column.name] if column.axis != "request" or column.size > 1 else [decision.features[column.name]]
        if column.axis == "candidate":
            values = [values[decision.items.index(item)] for item in items]
        elif column.axis == "history":
            values = values[:events]
        columns[column.name] = [each for row in values for each in row] if column.size > 1 and column.axis == "candidate" else values
    for name, values in columns.items():
        if all(isinstance(value, str) for value in values):
            example.features.feature[name].bytes_list.value.extend(value.encode() for value in values)
        else:
            example.features.feature[name].float_list.value.extend(float("nan") if value is None else value for value in values)
    return example
