"""The page of the sources says what is so."""

import re
from pathlib import Path
from typing import get_args

from components.contract.load import load_dataset
from serving.sources.file import Source, parse_sources

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/how-to/cold-start.md").read_text()


def test_the_file_on_the_page_loads_and_has_each_kind() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    found = parse_sources(block, load_dataset(ROOT / "examples/simulated_shop.yaml"))
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(Source)[0])}
    assert {source.kind for source in found.sources.values()} == kinds
    assert all(f"| `{kind}` |" in PAGE for kind in kinds)
