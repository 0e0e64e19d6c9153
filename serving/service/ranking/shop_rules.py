"""The shop's rules on one request: the values that they ask for, taken from the request's tensors."""

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
    """The sets of a rules file over one dataset."""

    def __init__(self, rules: Rules, dataset: Dataset) -> None:
        self._sets, self._dataset = rules.sets, dataset
        self._columns = {name: _of_items(rules) for name, rules in rules.sets.items()}
        self._context = {name: sorted({key for rule in rules for key in rule.when}) for name, rules in rules.sets.items()}

    def applied(
        self,
        name: str | None,
        items: Sequence[str],
        scores: NDArray[Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        left_out: Mapping[str, Collection[str]],
    ) -> Ruled:
        """The order of L candidates under a set; None is the default one, which may be missing.

        Args:
            name: of the set.
            items: [L] ids.
            scores: [L].
            tensors: of the request.
            left_out: products that aren't shown whatever the rules say, by the name under which the log has it.
        """
        used = name or DEFAULT
        columns = {key: _plain(tensors[key][0, : len(items)]) for key in self._columns.get(used, ())}
        context = {key: _plain(tensors[key][:1]) for key in self._context.get(used, ())}
        around = {key: values[0] for key, values in apart(self._dataset, context).items() if not _missing(values[0])}
        never = [
            Filter(name=reason, kind="filter", items=out)
            for reason, ids in left_out.items()
            if (out := tuple(filter(ids.__contains__, items)))
        ]
        return apply_rules((*never, *self._sets.get(used, ())), items, scores=scores, columns=apart(self._dataset, columns), context=around)


def _of_items(rules: Sequence[Rule]) -> list[str]:
    named = {key for rule in rules if not isinstance(rule, Diversity) for key in rule.where}
    return sorted(named | {rule.by for rule in rules if isinstance(rule, Diversity)})


def _plain(values: NDArray[Any]) -> Any:
    return [value.decode("utf-8", "replace") for value in values.tolist()] if values.dtype.hasobject else values


def _missing(value: Any) -> bool:
    """As a request leaves it that doesn't say: a rule that asks for it doesn't hold."""
    return value in ("", [""]) or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
