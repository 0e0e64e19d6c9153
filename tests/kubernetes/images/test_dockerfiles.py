"""The images' Dockerfiles: what hadolint says, what it doesn't look at, and the install commands themselves."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "kubernetes/images"
NAMES = ["pipeline", "service", "trainer"]
HADOLINT = Path(sys.executable).with_name("hadolint")
Stage = list[tuple[str, str]]  # instructions and what follows them: ("FROM", "${BASE} AS build"), ("RUN", "...")


def text(name: str) -> str:
    return (IMAGES / name / "Dockerfile").read_text()


def stages(name: str) -> list[Stage]:
    """The instructions of each stage, with comments dropped and continued lines joined."""
    joined = re.sub(r"\s*\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text(name), flags=re.MULTILINE))
    lines = [line.partition(" ") for line in joined.splitlines() if line]
    starts = [at for at, (word, _, _) in enumerate(lines) if word == "FROM"]
    return [[(word, rest) for word, _, rest in lines[a:b]] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def values(stage: Stage, instruction: str) -> list[str]:
    return [rest for word, rest in stage if word == instruction]


def environment(stage: Stage) -> dict[str, str]:
    return dict(word.partition("=")[::2] for rest in values(stage, "ENV") for word in shlex.split(rest))


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def sent_to_the_engine() -> list[str]:
    """The paths that .dockerignore brings back after leaving out everything."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert (rules[0], rules[-2:]) == ("*", ["**/__pycache__", "**/*.pyc"])
    assert all(re.fullmatch(r"![\w./-]+", rule) for rule in rules[1:-2])
    return [rule[1:] for rule in rules[1:-2]]


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
    final = stages(name)[-1]
    assert values(final, "USER") == ["10001:10001"]
    assert values(final, "WORKDIR") == [environment(final)["HOME"]] == ["/" + "tmp"]
    after = [word for word, _ in final][[word for word, _ in final].index("USER") :]
    assert not {"RUN", "COPY"} & set(after)


@pytest.mark.parametrize("name", NAMES)
def test_every_base_is_named_by_an_argument_whose_default_has_a_tag(name: str) -> None:
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", text(name).partition("\nFROM ")[0], re.MULTILINE))
    bases = [values(stage, "FROM")[0].split()[0] for stage in stages(name)]
    assert bases.count("${BASE}") == 2
    assert {base.strip("${}") for base in bases} == defaults.keys()
    assert all(re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", default) for default in defaults.values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_copied_is_there_and_not_ignored(name: str) -> None:
    files, sent, seen = tracked(), sent_to_the_engine(), []
    for stage in stages(name):
        for copied in values(stage, "COPY"):
            origin = re.match(r"--from=(\w+) ", copied)
            *sources, target = [word for word in copied.split() if not word.startswith("--")]
            assert len(sources) == 1 or target.endswith("/")
            for source in sources if origin is None else []:
                assert [path for path in files if path == source or path.startswith(f"{source}/")], source
                assert [path for path in sent if source == path or source.startswith(f"{path}/")], source
            assert origin is None or origin[1] in seen
        seen.append(values(stage, "FROM")[0].split()[-1])


def commands(stage: Stage) -> list[str]:
    return [command.strip() for run in values(stage, "RUN") for command in run.split("&&")]


@pytest.mark.parametrize("name", NAMES)
def test_packages_are_installed_by_hash_and_the_tools_stay_behind(name: str) -> None:
    *_, build, final = stages(name)
    installs = [command for command in commands(build) + commands(final) if " install" in command or " sync" in command]
    assert installs
    for command in installs:
        assert (
            command.startswith(("apt-get install -y --no-install-recommends ", "install --directory "))
            or "--require-hashes" in command
            or ("--no-deps" in command and "--require-build-hashes" in command)
        ), command
    assert not re.search(r"\b(g\+\+|gcc|uv|pip|curl|wget|git)\b", " ".join(rest for _, rest in final))


@pytest.mark.parametrize("name", ["pipeline", "service"])  # CUDA's packages aren't installed here, all others are
def test_each_install_command_is_carried_out_and_asks_for_what_make_install_installed(name: str) -> None:
    ran = []
    for command in commands(stages(name)[-2]):
        words = shlex.split(command)
        if words[:2] == ["uv", "pip"]:
            # Without a network and without a change: each package has to be the one that is here.
            target = ["--python-platform", "x86_64-manylinux_2_39"] if sys.platform == "linux" else []
            words = [str(Path(sys.executable).with_name("uv")), *words[1:], "--python", sys.executable, *target, "--dry-run", "--offline"]
        elif words[:2] == ["pip", "install"]:
            words = [sys.executable, "-m", *words, "--dry-run", "--no-index", "--disable-pip-version-check"]
        else:
            continue
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        would_install = re.findall(r"^ \+ (\w+)|^Would install (.*)", done.stdout + done.stderr, re.MULTILINE)
        assert [found for found in would_install if found[0] not in ("", "shelfrank")] == [], done.stderr
        ran.append(words[-1])
    assert len(ran) == 3


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_baked_in(name: str) -> None:
    assert not re.search(r"(?i)token|password|secret|api_key|access_key|salt", text(name))


@pytest.mark.parametrize("name", NAMES)
def test_labels_name_the_image_and_its_version(name: str) -> None:
    final = stages(name)[-1]
    assert len(values(final, "HEALTHCHECK")) == 1
    (label,) = values(final, "LABEL")
    labels = dict(word.removeprefix("org.opencontainers.image.").partition("=")[::2] for word in shlex.split(label))
    assert labels.keys() == {"title", "description", "licenses", "version", "revision"}
    assert (labels["title"], labels["version"]) == (f"shelfrank/{name}", "${VERSION}")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"VERSION={version}" in values(final, "ARG")


def test_nothing_but_the_project_is_sent_to_the_engine() -> None:
    sent = sent_to_the_engine()
    assert {path.split("/")[0] for path in sent} == {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "components",
        "examples",
        "kubernetes",
        "pipeline",
        "requirements",
        "serving",
        "trainer",
    }
    files = [path for path in tracked() if any(path == each or path.startswith(f"{each}/") for each in sent)]
    assert not [path for path in files if path.endswith((".pem", ".key", ".env"))]
    assert "serving/service/shelfrank.protoset" in files


def test_beam_of_the_workers_is_the_one_that_is_locked() -> None:
    (pin,) = re.findall(r"^apache-beam(?:\[\w+\])?==(\S+)", (ROOT / "requirements/runtime.lock").read_text(), re.MULTILINE)
    assert f"\nARG BEAM=apache/beam_python3.11_sdk:{pin}\n" in text("pipeline")


@pytest.mark.parametrize("name", ["pipeline", "trainer"])
def test_tensorflow_gets_keras_2_and_lightgbm_its_openmp(name: str) -> None:
    final = stages(name)[-1]
    assert environment(final)["TF_USE_LEGACY_KERAS"] == "1"
    assert any("libgomp1" in run for run in values(final, "RUN"))


def test_the_two_images_of_the_graph_differ_by_their_locks_and_by_beam_and_cuda() -> None:
    (_, *pipeline), trainer = stages("pipeline"), stages("trainer")
    assert [(word, rest.replace("trainer.lock", "runtime.lock")) for word, rest in trainer[0]] == pipeline[0]
    assert values(pipeline[-1], "RUN") == values(trainer[-1], "RUN")
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
