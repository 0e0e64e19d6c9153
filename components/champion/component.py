"""`Champion`: provide the model to beat as an artifact, on every orchestrator (Kubeflow runs no Resolver)."""

import logging
from pathlib import Path
from typing import TypedDict

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils.path_utils import serving_model_dir

from components.champion.baseline_rule import BASELINE
from components.contract.columns import input_columns
from components.contract.load import parse_dataset
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import RELEASES
from components.release.labels import to_beat
from components.release.manifest import read_manifest
from components.release.publish import download_model

_log = logging.getLogger("shelfrank.progress")


class Base(TypedDict):
    """Where training starts.

    Attributes:
        base: the release's number and the digest of its model, `3 6f1e...`; "": random weights.
    """

    base: str


@component
def Champion(  # noqa: N802 - TFX names a component by its function
    dataset: Parameter[str],
    push_destination: Parameter[str],
    version: Parameter[int],
    training_start: Parameter[str],
    code: Parameter[str],
    model: OutputArtifact[Model],
) -> Base:
    """Write the champion as a model that Evaluator loads, and its name as the artifact's property `champion`.

    Args:
        dataset: the dataset file's text.
        push_destination: the store: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
        version: the release in force; 0: there is none, so the baseline is written, as it is for a release that reads
            columns which the dataset file no longer has; -1: the one in force when this runs, the release labelled
            `stable` or else the newest, or the one that it refreshes.
        training_start: `warm`: from the champion's weights; `full`: from random ones; "": as the dataset file says.
        code: version of the code, part of TFX's cache key.
        model: the artifact that the champion is written to.

    Returns:
        What training starts from. As text it is a part of the Trainer's cache key where the champion isn't its input:
        after a full start another champion is no reason to train again.
    """
    shop = parse_dataset(dataset)
    releases = Address.parse(push_destination) / RELEASES
    chosen = version if version >= 0 else to_beat(releases) or 0
    release = releases / str(chosen)
    target = Path(serving_model_dir(model.uri))
    lacking = _lacking(release, {column.name for column in input_columns(shop)}) if chosen else set()
    if lacking:
        columns = ", ".join(sorted(lacking))
        _log.warning("release %d reads columns that the dataset file no longer has (%s): the dull baseline stands in", chosen, columns)
    if chosen and not lacking:
        download_model(release, target)
        name = f"release {chosen}"
    else:
        from components.champion.baseline import export_baseline  # imports TensorFlow, which a copy of a release doesn't need

        export_baseline(shop, str(target))
        name = BASELINE
    model.set_string_custom_property("champion", name)
    _log.info("champion: %s", name)
    warm = training_start == "warm" or (not training_start and bool(shop.model.get("warm_start")))
    return {"base": f"{chosen} {read_manifest(release).content}" if warm and name != BASELINE else ""}


def _lacking(release: Address, there: set[str]) -> set[str]:
    return set(read_manifest(release).input_columns) - there
