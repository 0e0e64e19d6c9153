"""What would make the first request slow, done before there is one: the reducer's machine code is loaded, or compiled."""

from components.contract.dataset import Dataset
from components.state.store import Event
from serving.features.assemble import RequestFeatures
from serving.features.catalogue import Catalogue
from serving.features.request import Request
from serving.state.codes import NO_ITEM
from serving.state.memory import MemoryStates
from serving.state.seam import Change, plans_of


def warm_up(dataset: Dataset, catalogue: Catalogue) -> None:
    """Take an event in and read a request, in a state that is thrown away."""
    plans = plans_of(dataset)
    states = MemoryStates(plans, catalogue.codes)
    of_user = (Event("warm", 1, plans.users.actions[0], NO_ITEM),)
    of_item = (Event("warm", 1, plans.items.actions[0]),) if plans.items is not None and plans.items.actions else ()
    states.record(Change(bytes(16), of_user, of_item))
    RequestFeatures(dataset, catalogue, states).inputs(Request(shopper="", candidates=["warm"], time_us=2))
