"""Write the transcripts of the guides to Kubeflow (submit, messages) anew: `python -m tests.pipeline.kubeflow.submit.page`."""

import re
from pathlib import Path
from textwrap import indent

from tests.pipeline.kubeflow.cases import transcript

GUIDES = Path(__file__).resolve().parents[4] / "docs" / "how-to"
PAGES = (GUIDES / "kubeflow-submit.md", GUIDES / "kubeflow-messages.md")
# A comment that names a case, and the indented lines below it.
BLOCK = re.compile(r"(?m)^<!-- case: ([\w-]+)(, brief)? -->\n((?:(?: {4}.*)?\n)*)")


def rewritten(text: str) -> str:
    """The page with each transcript as it is today."""

    def block(match: re.Match[str]) -> str:
        shown = "\n".join(line.rstrip() for line in transcript(match[1], brief=bool(match[2])).splitlines())
        return f"<!-- case: {match[1]}{match[2] or ''} -->\n\n{indent(shown, '    ')}\n\n"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
