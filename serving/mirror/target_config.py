"""Choose a model server's target configuration, and the steps to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from components.contract.storage.labels import STABLE, Labels, model_config, specific

Only = Literal["stable", "newest"]


@dataclass(frozen=True)
class ServerConfig:
    """Configuration of a model server.

    Attributes:
        model: the model's name on the server.
        versions: loaded ones.
        labels: label to version.
    """

    model: str
    versions: tuple[int, ...]
    labels: Mapping[str, int]

    def text(self, base_path: str) -> str:
        """Render the configuration in protobuf's text format."""
        return model_config(self.model, base_path, policy=specific(self.versions), labels=self.labels)


def stable_or_newest(labels: Labels | None, versions: Sequence[int]) -> int:
    """Return the release labelled `stable`, or the newest where none is; there is at least one."""
    stable = labels.now.get(STABLE) if labels else None
    return max(versions) if stable is None else stable


def target_config(labels: Labels | None, versions: Sequence[int], *, model: str, only: Only | None) -> ServerConfig:
    """Return the configuration to serve from the existing releases, at least one.

    All labelled releases; or with `only` the stable or the newest one alone, with the label `stable`.
    """
    chosen = max(versions) if only == "newest" else stable_or_newest(labels, versions)
    known = {} if labels is None or only else {label: version for label, version in labels.now.items() if version in versions}
    now = known or {STABLE: chosen}
    return ServerConfig(labels.model if labels else model, tuple(sorted(set(now.values()))), now)


def next_step(before: ServerConfig, target: ServerConfig) -> ServerConfig:
    """Return the next configuration after `before` on the way to `target`, without failed requests.

    A label may only point to a loaded version, and a labelled version may not be unloaded: load, then move the labels,
    then unload.
    """
    both = tuple(sorted({*before.versions, *target.versions}))
    if both != before.versions:
        return ServerConfig(target.model, both, before.labels)
    if before.labels != target.labels:
        return ServerConfig(target.model, before.versions, target.labels)
    return target
