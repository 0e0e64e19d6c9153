"""The images' Dockerfiles: what hadolint says, and what it doesn't look at."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from build_context import context
from dockerfile import Stage, stages

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "kubernetes/images"
NAMES = ["pipeline", "service", "trainer"]
HADOLINT = Path(sys.executable).with_name("hadolint")


def text(name: str) -> str:
    return (IMAGES / name / "Dockerfile").read_text()


def of(name: str) -> tuple[Stage, ...]:
    return stages(text(name))


def environment(stage: Stage) -> dict[str, str]:
    return {key: value for step in stage.steps if step.name == "ENV" for key, value in step.pairs().items()}


def test_each_folder_is_an_image() -> None:
    assert sorted(path.parent.name for path in IMAGES.glob("*/Dockerfile")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_hadolint_finds_nothing(name: str) -> None:
    if not HADOLINT.exists():
        pytest.skip("hadolint isn't installed here")
    ran = subprocess.run(
        [HADOLINT, "--failure-threshold", "style", IMAGES / name / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_containers_do_not_run_as_root_and_write_to_tmp_alone(name: str) -> None:
    final = of(name)[-1]
    user, workdir = final.only("USER"), final.only("WORKDIR")
    assert user is not None
    assert re.fullmatch(r"10001:10001", user.text)
    assert workdir is not None
    assert workdir.text == environment(final)["HOME"] == "/" + "tmp"
    assert not [step for step in final.steps[final.steps.index(user) :] if step.name in ("RUN", "COPY")]


@pytest.mark.parametrize("name", NAMES)
def test_every_base_is_a_stage_or_has_a_tag_and_can_be_given_with_a_digest(name: str) -> None:
    pinned = "python:3.11-slim-trixie@sha256:" + "0" * 64
    bases = [stage.base for stage in stages(text(name), BASE=pinned)]
    assert bases.count(pinned) == 2
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+(@sha256:[0-9a-f]{64})?", base) for base in bases)
    assert not [base for base in bases if base.endswith(":latest")]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_copied_is_there_and_not_ignored(name: str) -> None:
    files, seen = context(ROOT), []
    for stage in of(name):
        for step in stage.steps:
            if step.name == "COPY" and "from" not in step.flags:
                for source in step.words()[:-1]:
                    assert [path for path in files if path == source or path.startswith(f"{source}/")], source
            elif step.name == "COPY":
                assert step.flags["from"] in seen
        seen.append(stage.name)


@pytest.mark.parametrize("name", NAMES)
def test_packages_are_installed_by_hash_and_the_tools_stay_behind(name: str) -> None:
    *_, build, final = of(name)
    installs = [
        line
        for step in (*build.steps, *final.steps)
        if step.name == "RUN"
        for line in step.text.split("&&")
        if " install" in line or " sync" in line
    ]
    assert installs
    for line in (line.strip() for line in installs):
        assert (
            line.startswith(("apt-get install -y --no-install-recommends ", "install --directory "))
            or "--require-hashes" in line
            or ("--no-deps" in line and "--require-build-hashes" in line)
        ), line
    kept = " ".join(step.text for step in final.steps)
    assert not re.search(r"\b(g\+\+|gcc|uv|pip|curl|wget|git)\b", kept)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_baked_in(name: str) -> None:
    assert not re.search(r"(?i)token|password|secret|api_key|access_key|salt", text(name))


@pytest.mark.parametrize("name", NAMES)
def test_labels_name_the_image_and_its_version(name: str) -> None:
    final = of(name)[-1]
    label, health = final.only("LABEL"), final.only("HEALTHCHECK")
    assert label is not None
    assert health is not None
    told = {key.removeprefix("org.opencontainers.image."): value for key, value in label.pairs().items()}
    assert told.keys() == {"title", "description", "licenses", "version", "revision"}
    assert (told["title"], told["version"]) == (f"shelfrank/{name}", "${VERSION}")
    default = next(step.pairs()["VERSION"] for step in final.steps if step.name == "ARG" and "VERSION" in step.pairs())
    assert default == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_nothing_but_the_project_is_sent_to_the_engine() -> None:
    files = context(ROOT)
    assert {path.split("/")[0] for path in files if "/" in path} == {
        "components",
        "examples",
        "kubernetes",
        "pipeline",
        "requirements",
        "serving",
        "trainer",
    }
    assert not [path for path in files if path.endswith((".pyc", ".pem", ".key", ".env"))]
    assert "serving/service/shelfrank.protoset" in files


def test_beam_of_the_workers_is_the_one_that_is_locked() -> None:
    (pin,) = re.findall(r"^apache-beam(?:\[\w+\])?==(\S+)", (ROOT / "requirements/runtime.lock").read_text(), re.MULTILINE)
    assert of("pipeline")[0].base == f"apache/beam_python3.11_sdk:{pin}"


@pytest.mark.parametrize("name", ["pipeline", "trainer"])
def test_tensorflow_gets_keras_2_and_lightgbm_its_openmp(name: str) -> None:
    final = of(name)[-1]
    assert environment(final)["TF_USE_LEGACY_KERAS"] == "1"
    assert any("libgomp1" in step.text for step in final.steps if step.name == "RUN")


def test_the_two_images_of_the_graph_differ_by_their_locks_and_by_beam_and_cuda() -> None:
    pipeline, trainer = of("pipeline"), of("trainer")
    assert [step.text.replace("trainer.lock", "runtime.lock") for step in trainer[0].steps] == [step.text for step in pipeline[1].steps]
    runs = [[step.text for step in stage.steps if step.name == "RUN"] for stage in (pipeline[-1], trainer[-1])]
    assert runs[0] == runs[1]
    assert environment(trainer[-1]).keys() - environment(pipeline[-1]).keys() == {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def test_start_hands_options_to_beam_and_runs_anything_else() -> None:
    start = IMAGES / "pipeline/start"
    boot = re.search(r"exec (\S+) \"\$@\" ;;\n", start.read_text())
    assert boot is not None
    assert boot[1] == "/opt/apache/beam/boot"
    ran = subprocess.run([start, "printf", "%s|", "a b", "--c"], capture_output=True, text=True, check=True)
    assert ran.stdout == "a b|--c|"
    if not Path(boot[1]).exists():
        failed = subprocess.run([start, "--id=1"], capture_output=True, text=True, check=False)
        assert failed.returncode == 127
        assert boot[1] in failed.stderr


ENGINE = '#!/bin/sh\nprintf "%s " "$@"\necho\n'


def built(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    (engine := tmp_path / "engine").write_text(ENGINE)
    engine.chmod(0o755)
    path = f"{tmp_path}:{Path(shutil.which('git') or '/usr/bin/git').parent}:/usr/bin:/bin"
    return subprocess.run(
        [IMAGES / "build", *arguments], env={"PATH": path, "ENGINE": "engine", **more}, capture_output=True, text=True, check=False
    )


def test_build_gives_all_images_one_tag_and_pushes_none(tmp_path: Path) -> None:
    lines = built(tmp_path).stdout.splitlines()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert [re.findall(r"--file (\S+) --tag (\S+)", line) for line in lines] == [
        [(f"kubernetes/images/{name}/Dockerfile", f"shelfrank/{name}:{version}")] for name in ("pipeline", "trainer", "service")
    ]
    assert all(re.search(rf"--build-arg VERSION={re.escape(version)} --build-arg REVISION=\w+ \. $", line) for line in lines)


def test_all_are_built_before_any_is_pushed(tmp_path: Path) -> None:
    base = "python:3.11-slim-trixie@sha256:" + "a" * 64
    lines = built(
        tmp_path, "--push", "2.0-rc1", REGISTRY="registry.example.com/shop", BASE=base, IMAGES="trainer service"
    ).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["build", "build", "push", "push"]
    assert all(f"--build-arg BASE={base} " in line for line in lines[:2])
    assert lines[2:] == [f"push registry.example.com/shop/shelfrank/{name}:2.0-rc1 " for name in ("trainer", "service")]


@pytest.mark.parametrize(("arguments", "more", "code"), [(("a/b",), {}, 2), (("--pull",), {}, 2), ((), {"ENGINE": "no-such-engine"}, 1)])
def test_build_refuses_what_it_cannot_do_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], more: dict[str, str], code: int
) -> None:
    ran = built(tmp_path, *arguments, **more)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.startswith("kubernetes/images/build: ")
