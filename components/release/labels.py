"""Which version carries a label such as `stable`, and which carried it before: `labels.json` beside the releases.

It is the record; `model_config.txt`, which a model server reads, is made from it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from components.contract.errors import InputError, ShelfRankError
from components.release.releases import versions

FILE, CONFIG_FILE = "labels.json", "model_config.txt"


@dataclass(frozen=True)
class Labels:
    """The labels of a folder of releases.

    Attributes:
        model: name that servers have the model under.
        base_path: the folder of the releases as servers see it.
        carried: label to the versions that carried it, the one that does last.
    """

    model: str
    base_path: str
    carried: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def now(self) -> dict[str, int]:
        """Label to version."""
        return {label: carriers[-1] for label, carriers in sorted(self.carried.items())}

    @property
    def served(self) -> tuple[int, ...]:
        """What a server must have loaded: what is labelled, and before each the version that a rollback returns to."""
        return tuple(sorted({version for carriers in self.carried.values() for version in carriers[-2:]}))

    def promoted(self, version: int, label: str) -> "Labels":
        """`version` carries `label`."""
        carriers = self.carried.get(label, ())
        return self if carriers[-1:] == (version,) else replace(self, carried={**self.carried, label: (*carriers, version)})

    def rolled_back(self, label: str) -> "Labels":
        """`label` is carried by the version that carried it before.

        Raises:
            InputError: none did.
        """
        carriers = self.carried.get(label, ())
        if len(carriers) < 2:
            known = f"only version {carriers[0]} ever carried it" if carriers else "no version carries it"
            raise InputError(f"label {label!r} can't be rolled back: {known}; give it to a version with `shelfrank releases promote`")
        return replace(self, carried={**self.carried, label: carriers[:-1]})

    def model_config(self) -> str:
        """What `--model_config_file` of a model server names: a ModelServerConfig in protobuf's text format."""
        served = " ".join(f"versions: {version}" for version in self.served)
        lines = [
            "model_config_list {",
            "  config {",
            f"    name: {json.dumps(self.model)}",
            f"    base_path: {json.dumps(self.base_path, ensure_ascii=False)}",
            '    model_platform: "tensorflow"',
            f"    model_version_policy {{ specific {{ {served} }} }}",
            *(f"    version_labels {{ key: {json.dumps(label)} value: {version} }}" for label, version in self.now.items()),
            "  }",
            "}",
        ]
        return "\n".join(lines) + "\n"


def read_labels(releases: Path) -> Labels | None:
    """The labels of a folder of releases, None where there never was one.

    Raises:
        ShelfRankError: the file can't be read.
    """
    file = releases / FILE
    if not file.exists():
        return None
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        return Labels(given["model"], given["base_path"], {label: tuple(carriers) for label, carriers in given["carried"].items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ShelfRankError(f"{file}: expected the labels of the releases: {error!r}; move it away and promote anew") from None


def write_labels(labels: Labels, releases: Path) -> None:
    """Write both files, each whole or not at all; the record last, so that what it says is what the server's file says."""
    for name, text in ((CONFIG_FILE, labels.model_config()), (FILE, json.dumps(asdict(labels), indent=1, ensure_ascii=False) + "\n")):
        unfinished = releases / f".{name}.unfinished"
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(releases / name)


def check_there(version: int, releases: Path) -> None:
    """Raise InputError where a version isn't among the releases."""
    there = versions(releases)
    if version not in there:
        raise InputError(f"{releases}: expected one of the releases {', '.join(map(str, there)) or '(there is none)'}, got {version}")
