"""Record which version has a label such as `stable`, and which had it before: `labels.json` beside the releases.

`model_config.txt`, which a model server reads, is generated from it. Three labels depend on each other:

- `stable`: the version that shoppers get.
- `canary`: the version on trial. Without a trial it is stable's version and follows it, so that requests for it are always answered.
- `previous`: the version that a rollback of `stable` returns to. It is derived from the history of `stable`, not recorded.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from components.contract.errors import InputError

FILE, CONFIG_FILE = "labels.json", "model_config.txt"
MODELS_HEADER = "shelfrank-models"
"""In the trailing metadata of a status from the embedded model server: all its models with their labels, as JSON."""
STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"


@dataclass(frozen=True)
class Labels:
    """The labels of a folder of releases.

    Attributes:
        model: the model's name on servers.
        base_path: the folder of the releases as servers see it; "": the record's own folder, wherever it is moved or
            copied.
        carried: the versions that had each label, in order; the last one has it now.
    """

    model: str
    base_path: str
    carried: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def now(self) -> dict[str, int]:
        """The version of each label."""
        current = {label: carriers[-1] for label, carriers in self.carried.items()}
        before = [version for version in self.carried.get(STABLE, ()) if version != current[STABLE]]
        return dict(sorted((current | ({PREVIOUS: before[-1]} if before else {})).items()))

    @property
    def served(self) -> tuple[int, ...]:
        """The labelled versions, which a server must have loaded."""
        return tuple(sorted(set(self.now.values())))

    def promoted(self, version: int, label: str) -> "Labels":
        """Give `label` to `version`."""
        carriers = self.carried.get(label, ())
        if carriers[-1:] == (version,):
            return self
        return self._with_canary(replace(self, carried={**self.carried, label: (*carriers, version)}))

    def rolled_back(self, label: str) -> "Labels":
        """Give `label` back to the version that had it before; `canary` to stable's version.

        Earlier canaries were promoted or rejected, so they aren't returned to.

        Raises:
            InputError: there is no such version.
        """
        carriers, stable = self.carried.get(label, ()), self.now.get(STABLE)
        if label == CANARY and carriers and stable is not None:
            if carriers[-1] == stable:
                raise InputError(f"nothing is tried: {label!r} is on stable's version {stable} already; give it to another one first")
            return self.promoted(stable, label)
        if len(carriers) < 2:
            known = f"only version {carriers[0]} ever carried it" if carriers else "no version carries it"
            raise InputError(f"label {label!r} can't be rolled back: {known}; give it to a version with `shelfrank releases promote`")
        return self._with_canary(replace(self, carried={**self.carried, label: carriers[:-1]}))

    def _with_canary(self, after: "Labels") -> "Labels":
        """Move the canary of `after` with stable if it was on stable's version, which isn't on trial."""
        stable, canary = after.now.get(STABLE), self.now.get(CANARY)
        if canary is None or canary != self.now.get(STABLE) or stable is None or after.now[CANARY] != canary:
            return after
        return after.promoted(stable, CANARY)

    def to_json(self) -> str:
        """Return the text of the record."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> "Labels":
        """Parse a record's text.

        Raises:
            ValueError: it is invalid.
        """
        try:
            record = json.loads(text)
            return Labels(record["model"], record["base_path"], {label: tuple(carriers) for label, carriers in record["carried"].items()})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(repr(error)) from None

    def model_config(self, releases: str) -> str:
        """Generate the ModelServerConfig for a model server's `--model_config_file`, in protobuf's text format.

        Args:
            releases: the absolute folder or address of the record: TensorFlow Serving takes no relative path.
        """
        return model_config(self.model, self.base_path or releases, policy=specific(self.served), labels=self.now)


def specific(versions: Iterable[int]) -> str:
    """Format the version policy of a model server that serves exactly these versions."""
    return f"specific {{ {' '.join(f'versions: {version}' for version in versions)} }}"


def model_config(model: str, base_path: str, *, policy: str, labels: Mapping[str, int]) -> str:
    """Generate a ModelServerConfig of one model, in protobuf's text format."""
    lines = [
        "model_config_list {",
        "  config {",
        f"    name: {json.dumps(model)}",
        f"    base_path: {json.dumps(base_path, ensure_ascii=False)}",
        '    model_platform: "tensorflow"',
        f"    model_version_policy {{ {policy} }}",
        *(f"    version_labels {{ key: {json.dumps(label)} value: {version} }}" for label, version in labels.items()),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"
