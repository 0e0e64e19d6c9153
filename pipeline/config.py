"""Configure a run on this machine, and name the files of its folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunConfig:
    """A run of the pipeline on this machine.

    Attributes:
        name: of the dataset.
        dataset: the dataset file's text.
        data_root: folder or address that relative paths of the dataset file are resolved against.
        root: folder for everything that the run makes.
        data_until: ISO date or date-time at which the data ends; "": as the dataset file says.
        training_start: `warm`: from the champion's weights; `full`: from random ones; "": as the dataset file says.
        run_id: a run that is started again by its id goes on with the data that it began with, whatever files have come
            since; "": each run reads the files as they are.
    """

    name: str
    dataset: str
    data_root: str
    root: Path
    data_until: str = ""
    training_start: str = ""
    run_id: str = ""

    @property
    def artifacts(self) -> Path:
        """The folder of the steps' outputs."""
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
        """The folder of the Tuner's finished trials."""
        return self.root / "trials"

    @property
    def logs(self) -> Path:
        """The folder with a log file for each run."""
        return self.root / "logs"

    @property
    def record(self) -> Path:
        """The file that pins the champion that a run is compared with."""
        return self.root / "run.json"

    @property
    def last(self) -> Path:
        """The result of the last finished run."""
        return self.root / "last_run.json"

    @property
    def html(self) -> Path:
        """The report as an HTML page."""
        return self.root / "report.html"
