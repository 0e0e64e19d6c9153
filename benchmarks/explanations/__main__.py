"""Compare integrated gradients with Shapley values, and both with permutation importance: `python -m benchmarks.explanations RUN`."""

import argparse
import time
from pathlib import Path

import numpy as np
import shap
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from benchmarks.explanations.players import logit_of, players
from components.contract.load import parse_dataset
from components.contract.storage.object_store import Address
from components.evaluation.importance.request_sample import sampled_records
from components.rehearsal.sampled_requests import read_requests, tensors
from pipeline.audit.release_model import ReleaseModel
from pipeline.results.result import read_result
from serving.explanation.reasons import EVENTS, LOGITS, Reasons
from serving.explanation.request_values import RequestValues

TOP = (1, 3, 5)


def main() -> None:
    """Print the agreement over candidates, global importance by three measures, and what the words cost."""
    parser = argparse.ArgumentParser(description="Compare attributions on requests of a run's test window.")
    parser.add_argument("run", type=Path, help="folder of a run that has released")
    parser.add_argument("--requests", type=int, default=40, help="of each the two candidates scored highest are explained (default: 40)")
    parser.add_argument(
        "--permutations", type=int, default=4, help="of the features for each candidate, forwards and backwards (default: 4)"
    )
    args = parser.parse_args()
    result = read_result(args.run / "last_run.json")
    dataset = parse_dataset(result.dataset)
    (examples, *_) = sorted((args.run / "artifacts" / "EventExampleGen" / "examples").iterdir(), reverse=True)
    sampled = read_requests(sampled_records(str(examples), "test", seed=dataset.seed)[: args.requests], dataset)
    model = ReleaseModel(Address.parse(result.places["release"]))
    listed, words = players(dataset), Reasons(dataset)
    gradients, shapley, logit_gaps, word_ms = [], [], [], []
    for request in sampled:
        inputs = tensors(request, request.candidates, dataset)
        outputs = model.run(inputs, "explain")
        names = [name.decode() for name in outputs["features"][0]]
        every, effects = words.effects(names, outputs["attributions"][0], {EVENTS: outputs[EVENTS][0]})
        began = time.perf_counter()
        values = RequestValues(dataset, inputs, request.candidates)
        words.of_candidates(every, effects, values)
        words.of_neighbours(every, effects, outputs[LOGITS][0], values)
        word_ms.append((time.perf_counter() - began) * 1e3)
        for candidate in np.argsort(-outputs[LOGITS][0])[:2].tolist():
            logits = logit_of(model.run, inputs, candidate, listed, dataset)
            ends = logits(np.array([[True] * len(listed), [False] * len(listed)]))
            logit_gaps.append(np.abs(ends - [outputs[LOGITS][0, candidate], outputs["baseline"][0, candidate]]))
            explainer = shap.PermutationExplainer(logits, np.zeros((1, len(listed))), seed=0)
            explained = explainer(np.ones((1, len(listed))), max_evals=args.permutations * (2 * len(listed) + 1), silent=True)
            shapley.append(explained.values[0])
            by_name = dict(zip(every, effects[candidate], strict=True))
            gradients.append([sum(by_name.get(name, 0.0) for name in player.attributions) for player in listed])
    first, second = np.array(gradients), np.array(shapley)
    console = Console(width=120)
    console.print(_agreement(first, second))
    gap = np.max(logit_gaps, axis=0)
    console.print(f"both explain the same difference: logits differ by {gap[0]:.1e} at most, those of the baseline by {gap[1]:.1e}")
    console.print(
        f"words of a request of {np.median([each.candidates for each in sampled]):.0f} candidates: {np.median(word_ms):.1f} ms (p50)"
    )
    importance = {} if result.importance is None else {each.feature: each.drops["auc"].value for each in result.importance.features}
    console.print(_importance([player.name for player in listed], first, second, importance))


def _agreement(first: np.ndarray, second: np.ndarray) -> Table:
    """Tabulate the agreement of two attributions [N, P], candidate by candidate."""
    table = Table(
        title=f"Integrated gradients and Shapley values of {len(first):,} candidates, {first.shape[1]} features", title_justify="left"
    )
    table.add_column("measure")
    for name in ("mean", "10 %", "90 %"):
        table.add_column(name, justify="right")
    pairs = list(zip(first, second, strict=True))
    rows = {"rank correlation of the effects": [spearmanr(one, other).statistic for one, other in pairs]}
    for top in TOP:
        best = [(set(np.argsort(-np.abs(one))[:top]), set(np.argsort(-np.abs(other))[:top])) for one, other in pairs]
        rows[f"shared among the {top} of the greatest effect"] = [len(one & other) / top for one, other in best]
    signs = [[a * b > 0 for a, b in zip(one, other, strict=True) if abs(b) >= 0.05] for one, other in pairs]
    rows["same sign, of effects from 0.05 on"] = [float(np.mean(each)) for each in signs if each]
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.3f}" for value in (np.mean(values), *np.quantile(values, [0.1, 0.9]))))
    return table


def _importance(names: list[str], first: np.ndarray, second: np.ndarray, drops: dict[str, float | None]) -> Table:
    """Tabulate global importance: mean absolute effects beside the drop of AUC without the feature, by FeatureImportance."""
    table = Table(title="Global importance, in the order of Shapley values", title_justify="left")
    table.add_column("feature")
    for name in ("mean |SHAP|", "mean |gradients|", "drop of AUC"):
        table.add_column(name, justify="right")
    gradients, shapley = np.abs(first).mean(axis=0), np.abs(second).mean(axis=0)
    for at in np.argsort(-shapley).tolist():
        drop = drops.get(names[at])
        table.add_row(names[at], f"{shapley[at]:.3f}", f"{gradients[at]:.3f}", "" if drop is None else f"{drop:.4f}")
    known = [at for at, name in enumerate(names) if drops.get(name) is not None]
    if len(known) > 1:
        aucs = [drops[names[at]] for at in known]
        by_shap, by_gradients = (spearmanr(values[known], aucs).statistic for values in (shapley, gradients))
        table.caption = (
            f"rank correlation: SHAP and gradients {spearmanr(shapley, gradients).statistic:.2f},"
            f" with the drop of AUC {by_shap:.2f} and {by_gradients:.2f}"
        )
    return table


if __name__ == "__main__":
    main()
