"""The default shop's dataset file, for tests that say themselves how the model is trained."""

import re

from pipeline.cli.commands import default_shop


def shop_without_model() -> str:
    """Its text without the part `model`."""
    text, left_out = re.subn(r"^model: .*\n", "", default_shop().read_text(), flags=re.MULTILINE)
    assert left_out == 1
    return text
