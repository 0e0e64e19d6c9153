"""`Champion`: gives the model to beat as an artifact, on every orchestrator (open-source Kubeflow runs no Resolver)."""

import logging
import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model
from tfx.utils.path_utils import serving_model_dir

from components.champion.dull import export_dull
from components.contract.columns import input_columns
from components.contract.load import parse_dataset
from components.release.manifest import FILE, read_manifest

_log = logging.getLogger("shelfrank.progress")


@component
def Champion(  # noqa: N802 - TFX names a component by its function
    dataset: Parameter[str], releases: Parameter[str], version: Parameter[int], code: Parameter[str], model: OutputArtifact[Model]
) -> None:
    """Write the champion as a model that Evaluator loads, and which it is as the artifact's property `champion`.

    Args:
        dataset: the dataset file's text.
        releases: folder of the releases.
        version: the release in force; 0: there is none, the dull baseline stands in, as it does for a release that reads columns which the
            dataset file no longer has.
        code: version of the code; TFX's cache goes by it.
        model: where the champion goes.
    """
    shop = parse_dataset(dataset)
    target = Path(serving_model_dir(model.uri))
    lacking = _lacking(Path(releases) / str(version), {column.name for column in input_columns(shop)}) if version else set()
    if lacking:
        columns = ", ".join(sorted(lacking))
        _log.warning("release %d reads columns that the dataset file no longer has (%s): the dull baseline stands in", version, columns)
    if version and not lacking:
        shutil.copytree(Path(releases) / str(version), target, ignore=shutil.ignore_patterns(FILE), dirs_exist_ok=True)
        name = f"release {version}"
    else:
        export_dull(shop, str(target))
        name = "baseline"
    model.set_string_custom_property("champion", name)
    _log.info("champion: %s", name)


def _lacking(release: Path, there: set[str]) -> set[str]:
    return set(read_manifest(release).input_columns) - there
