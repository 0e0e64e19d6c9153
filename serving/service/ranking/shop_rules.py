"""Apply the shop's rules to one request, with the values that they need from its tensors."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from serving.rules.apply import Ruled, apply_rules
from serving.rules.file import Diversity, Filter, Rule, Rules
from serving.rules.select import apart

DEFAULT = "default"


@final
class ShopRules:
    """Hold the sets of a rules file over one dataset."""

    def __init__(self, rules: Rules, dataset: Dataset) -> None:
        self._sets, self._dataset = rules.sets, dataset
        self._columns = {name: _item_columns(rules) for name, rules in rules.sets.items()}
        self._context = {name: sorted({key for rule in rules for key in rule.when}) for name, rules in rules.sets.items()}

    def apply(
        self,
        name: str | None,
        items: Sequence[str],
        scores: NDArray[Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        excluded: Mapping[str, Collection[str]],
    ) -> Ruled:
        """Return the order of L candidates under a set; None is the default one, which may be missing.

        Args:
            name: of the set.
            items: [L] ids.
            scores: [L].
            tensors: of the request.
            excluded: products that aren't shown whatever the rules, by the name of the reason in the log.
        """
        set_name = name or DEFAULT
        columns = {key: _plain(tensors[key][0, : len(items)]) for key in self._columns.get(set_name, ())}
        context = {key: _plain(tensors[key][:1]) for key in self._context.get(set_name, ())}
        context_values = {key: values[0] for key, values in apart(self._dataset, context).items() if not _missing(values[0])}
        filters = [
            Filter(name=reason, kind="filter", items=absent)
            for reason, ids in excluded.items()
            if (absent := tuple(filter(ids.__contains__, items)))
        ]
        return apply_rules(
            (*filters, *self._sets.get(set_name, ())), items, scores=scores, columns=apart(self._dataset, columns), context=context_values
        )


def _item_columns(rules: Sequence[Rule]) -> list[str]:
    named = {key for rule in rules if not isinstance(rule, Diversity) for key in rule.where}
    return sorted(named | {rule.by for rule in rules if isinstance(rule, Diversity)})


def _plain(values: NDArray[Any]) -> Any:
    return [value.decode("utf-8", "replace") for value in values.tolist()] if values.dtype.hasobject else values


def _missing(value: Any) -> bool:
    """Return whether a request lacks a value: rules that need it don't apply."""
    return value in ("", [""]) or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
