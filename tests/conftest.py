"""What all tests share: the environment that TensorFlow reads once when imported, and the folder of real data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run, so that a change that breaks nothing can't fail; `--hypothesis-profile search` draws new ones.
# Without a deadline: beside other work an example may take any time.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("same")

# TFRS 0.7 refuses Keras 3; TensorFlow's own log lines aren't warnings that a test could catch.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Threads of OpenMP wait by spinning: two processes of tests on two cores would spend most of their time on that, in LightGBM.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell or nohup starts in the background ignores Ctrl-C or a hang-up, and so would the processes that tests start and end so.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parents[1]


def real_data_folder() -> Path:
    """$SHELFRANK_REAL_DATA, or `shared/data` beside the checkout; the test is skipped where there is none."""
    folder = Path(os.environ.get("SHELFRANK_REAL_DATA") or ROOT.parent / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder (set SHELFRANK_REAL_DATA)")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_data"):
        real_data_folder()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets."""
    return real_data_folder()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 on loopback, its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty bucket there; the environment says how to reach it, as it does in a pod."""
    import boto3

    names = {"AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{abs(hash(tmp_path))}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket in a Google Cloud Storage of the tests' own, on loopback."""
    from tests.stores.gcs import storage

    with storage("bucket") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        yield "gs://bucket"


@pytest.fixture(params=["folder", "s3", "gs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind, empty."""
    return str(tmp_path / "store") if request.param == "folder" else f"{request.getfixturevalue(request.param)}/shop/one"


@pytest.fixture(params=["s3", "gs"])
def bucket_store(request: pytest.FixtureRequest) -> str:
    """A store of each kind of bucket, empty."""
    return f"{request.getfixturevalue(request.param)}/shop/one"
