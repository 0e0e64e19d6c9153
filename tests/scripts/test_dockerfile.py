"""Dockerfiles and .dockerignore as they are read for the build without an engine."""

import pytest
from build_context import IgnoreFileError, ignored, patterns
from dockerfile import DockerfileError, expanded, stages

TEXT = """\
ARG BASE=debian:trixie
FROM ${BASE} AS build
# a comment
ENV A=1 B="two words"
RUN one \\
  # within an instruction
  && two
FROM build
COPY --from=build --chmod=755 /x /y
CMD ["a b", "c"]
"""


def test_stages_steps_and_continued_lines() -> None:
    build, final = stages(TEXT)
    assert (build.name, build.base, final.name, final.base) == ("build", "debian:trixie", "", "build")
    assert [(step.name, step.line) for step in build.steps] == [("ENV", 4), ("RUN", 5)]
    assert build.steps[0].pairs() == {"A": "1", "B": "two words"}
    assert build.steps[1].text == "one && two"
    assert (final.steps[0].flags, final.steps[0].words()) == ({"from": "build", "chmod": "755"}, ["/x", "/y"])
    assert final.steps[1].words() == ["a b", "c"]


def test_an_argument_replaces_its_default() -> None:
    assert stages(TEXT, BASE="other:1")[0].base == "other:1"
    with pytest.raises(DockerfileError, match="no ARG before the first FROM is named NONE"):
        stages(TEXT, NONE="x")


def test_variables_are_replaced_and_unknown_ones_are_empty() -> None:
    assert expanded("$A/${B}:$C", {"A": "x", "B": "y"}) == "x/y:"


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nADD x y",
        "RUN x\nFROM a",
        "FROM a\nRUN --mount=type=cache x",
        "FROM a\nCOPY --link x y",
        "FROM a\nRUN x \\\n",
        "FROM a\nENV A",
        "FROM a\nENV B=${A:-1}",
    ],
)
def test_what_is_not_known_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(DockerfileError, match=r"^line \d"):
        [step.pairs() for stage in stages(text) for step in stage.steps if step.name == "ENV"]


RULES = patterns("*\n!serving\n!a/b/start\n**/*.pyc\n**/__pycache__\n")


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("x", True),
        ("serving/a.py", False),
        ("serving/a.pyc", True),
        ("serving/__pycache__/a", True),
        ("a/b/start", False),
        ("a/b/other", True),
        ("servings", True),
    ],
)
def test_the_last_pattern_that_fits_decides(path: str, out: bool) -> None:
    assert ignored(path, RULES) is out


@pytest.mark.parametrize("pattern", ["/x", "a/*.py", "a/**/b"])
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(IgnoreFileError):
        patterns(pattern)
