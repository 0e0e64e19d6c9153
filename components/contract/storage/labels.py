"""Which version carries a label such as `stable`, and which carried it before: `labels.json` beside the releases.

It is the record; `model_config.txt`, which a model server reads, is made from it. Three labels hang together:

- `stable`: what shoppers get.
- `canary`: what is tried on some of them. While nothing is tried it stands on stable's version and goes with it, so that whoever asks for
  it always gets an answer.
- `previous`: the version that a rollback of `stable` returns to. It isn't recorded, it follows from the record.
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
        model: name that servers have the model under.
        base_path: the folder of the releases as servers see it; "": the one that the record lies in, wherever that is moved or copied.
        carried: label to the versions that carried it, the one that does last.
    """

    model: str
    base_path: str
    carried: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def now(self) -> dict[str, int]:
        """Label to version."""
        found = {label: carriers[-1] for label, carriers in self.carried.items()}
        before = [version for version in self.carried.get(STABLE, ()) if version != found[STABLE]]
        return dict(sorted((found | ({PREVIOUS: before[-1]} if before else {})).items()))

    @property
    def served(self) -> tuple[int, ...]:
        """What a server must have loaded: what is labelled."""
        return tuple(sorted(set(self.now.values())))

    def promoted(self, version: int, label: str) -> "Labels":
        """`version` carries `label`."""
        carriers = self.carried.get(label, ())
        if carriers[-1:] == (version,):
            return self
        return self._with_canary(replace(self, carried={**self.carried, label: (*carriers, version)}))

    def rolled_back(self, label: str) -> "Labels":
        """`label` is carried by the version that carried it before; `canary` by stable's.

        What carried `canary` before was tried in its time, and promoted or found wanting.

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
        """`after`, where a canary that stood on stable's version here stands on it there: the old stable one isn't on trial."""
        stable, canary = after.now.get(STABLE), self.now.get(CANARY)
        if canary is None or canary != self.now.get(STABLE) or stable is None or after.now[CANARY] != canary:
            return after
        return after.promoted(stable, CANARY)

    def to_json(self) -> str:
        """As the text of the record."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes) -> "Labels":
        """The labels of a record.

        Raises:
            ValueError: it isn't one.
        """
        try:
            given = json.loads(text)
            return Labels(given["model"], given["base_path"], {label: tuple(carriers) for label, carriers in given["carried"].items()})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(repr(error)) from None

    def model_config(self, releases: str) -> str:
        """What `--model_config_file` of a model server names: a ModelServerConfig in protobuf's text format.

        Args:
            releases: the absolute folder or address that the record lies in: TensorFlow Serving takes no relative path.
        """
        return model_config(self.model, self.base_path or releases, policy=specific(self.served), labels=self.now)


def specific(versions: Iterable[int]) -> str:
    """The policy of a model server that serves these versions and no others."""
    return f"specific {{ {' '.join(f'versions: {version}' for version in versions)} }}"


def model_config(model: str, base_path: str, *, policy: str, labels: Mapping[str, int]) -> str:
    """A ModelServerConfig of one model, in protobuf's text format."""
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
