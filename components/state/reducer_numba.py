"""The reducer's machine code, for logs: the functions of reducer.py, under the names that they have there."""

from components.state import reducer
from components.state.jit import compiled_beside

_scope = dict(vars(reducer))
# Who calls comes after whom it calls.
happened_us = compiled_beside(reducer.happened_us, _scope)
advance = compiled_beside(reducer.advance, _scope)
read = compiled_beside(reducer.read, _scope)
replay_rows = compiled_beside(reducer.replay_rows, _scope)
first_unsorted = compiled_beside(reducer.first_unsorted, _scope)
