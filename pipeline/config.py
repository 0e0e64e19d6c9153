"""What a run is asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunConfig:
    """A run of the graph on this machine.

    Attributes:
        name: of the dataset.
        dataset: the dataset file's text.
        data_root: folder or address that relative paths of the dataset file are looked up under.
        root: folder for everything that the run makes.
    """

    name: str
    dataset: str
    data_root: str
    root: Path

    @property
    def artifacts(self) -> Path:
        """What the steps hand to one another."""
        return self.root / "artifacts"

    @property
    def metadata(self) -> Path:
        """The SQLite file of TFX's metadata store."""
        return self.root / "metadata.sqlite"

    @property
    def releases(self) -> Path:
        """The folder that TensorFlow Serving watches."""
        return self.root / "releases"

    @property
    def trials(self) -> Path:
        """What the Tuner's finished trials gave."""
        return self.root / "trials"

    @property
    def logs(self) -> Path:
        """A file for each run."""
        return self.root / "logs"

    @property
    def record(self) -> Path:
        """Which champion the run in hand is compared with."""
        return self.root / "run.json"

    @property
    def last(self) -> Path:
        """What the last finished run gave."""
        return self.root / "last_run.json"

    @property
    def html(self) -> Path:
        """The report as a page."""
        return self.root / "report.html"
