"""An engine's class path is resolved once; where it can't be, its tests are skipped and say why."""

import os
from pathlib import Path

import pytest

from tests.engines import maven

MAVEN = """#!/bin/sh
for each in "$@"; do case $each in -Dmdep.outputFile=*) out=${each#*=} ;; esac; done
echo asked >> "$(dirname "$0")/asked"
printf %s "$JARS" > "$out"
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pom whose class path nobody knows, and a Maven that says it is `lib/b.jar`, `lib/a.jar`."""
    for folder in ("bin", "lib", "engine"):
        (tmp_path / folder).mkdir()
    jars = [tmp_path / "lib" / name for name in ("b.jar", "a.jar")]
    for jar in jars:
        jar.touch()
    program(tmp_path / "bin" / "java")
    program(tmp_path / "bin" / "mvn", MAVEN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("JARS", os.pathsep.join(map(str, jars)))
    monkeypatch.setattr(maven, "BUILD", tmp_path / "build")
    maven._jars.cache_clear()
    (tmp_path / "engine" / "pom.xml").write_text("<project/>")
    return tmp_path / "engine" / "pom.xml"


def asked(pom: Path) -> int:
    return (pom.parents[1] / "bin" / "asked").read_text().count("asked")


def another_process() -> None:
    maven._jars.cache_clear()


def test_the_jars_come_in_mavens_order_and_maven_is_asked_once_for_a_pom(pom: Path) -> None:
    for _ in range(2):
        assert [jar.name for jar in maven.class_path(pom)] == ["b.jar", "a.jar"]
        another_process()
    assert asked(pom) == 1
    pom.write_text("<project><!-- another --></project>")
    maven.class_path(pom)
    assert asked(pom) == 2


def test_maven_is_asked_again_when_a_jar_is_gone(pom: Path) -> None:
    maven.class_path(pom)[0].unlink()
    another_process()
    with pytest.raises(pytest.skip.Exception, match="Maven doesn't resolve engine's packages"):
        maven.class_path(pom)
    assert asked(pom) == 2


def test_tests_are_skipped_with_the_reason(pom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(pom.parents[1] / "bin" / "mvn", "#!/bin/sh\necho '[INFO] trying'; echo '[ERROR] no such package'; exit 1\n")
    with pytest.raises(pytest.skip.Exception, match=r"engine's packages: \[ERROR\] no such package"):
        maven.class_path(pom)
    another_process()
    monkeypatch.setenv("PATH", str(pom.parent))
    with pytest.raises(pytest.skip.Exception, match=r"no java and no mvn here .*: engine can't be started"):
        maven.class_path(pom)
