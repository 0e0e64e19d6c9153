"""What a model server is to serve, and by which steps it comes there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from components.contract.storage.labels import STABLE, Labels, model_config, specific

Only = Literal["stable", "newest"]


@dataclass(frozen=True)
class Served:
    """What a server's configuration says.

    Attributes:
        model: name that servers have the model under.
        versions: that are loaded.
        labels: label to version.
    """

    model: str
    versions: tuple[int, ...]
    labels: Mapping[str, int]

    def text(self, base_path: str) -> str:
        """The configuration, in protobuf's text format."""
        return model_config(self.model, base_path, policy=specific(self.versions), labels=self.labels)


def in_force(labels: Labels | None, versions: Sequence[int]) -> int:
    """The release labelled `stable`, or the newest where none is; there is at least one."""
    stable = labels.now.get(STABLE) if labels else None
    return max(versions) if stable is None else stable


def wanted(labels: Labels | None, versions: Sequence[int], *, model: str, only: Only | None) -> Served:
    """What is to be served of the releases that are there, at least one.

    All that carry a label; or the one in force alone; or the newest alone, which then answers to `stable`.
    """
    chosen = max(versions) if only == "newest" else in_force(labels, versions)
    known = {} if labels is None or only else {label: version for label, version in labels.now.items() if version in versions}
    now = known or {STABLE: chosen}
    return Served(labels.model if labels else model, tuple(sorted(set(now.values()))), now)


def next_step(before: Served, target: Served) -> Served:
    """The configuration that may follow `before`, on the way to `target`, without a request that fails for it.

    A label may point to nothing but what is loaded, and what a label points to may not go: load; then move the labels; then let go.
    """
    both = tuple(sorted({*before.versions, *target.versions}))
    if both != before.versions:
        return Served(target.model, both, before.labels)
    if before.labels != target.labels:
        return Served(target.model, before.versions, target.labels)
    return target
