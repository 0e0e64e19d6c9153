"""Name the files that an exported model carries beside its SavedModel."""

import os

CURVE_FILE = os.path.join("assets.extra", "history.json")
"""Path of the training curve below the exported model: JSON, one row an epoch."""

TRANSFORM_GRAPH = os.path.join("assets.extra", "transform_graph")
"""Path of Transform's output below the exported model, by which a refresh trains on."""
