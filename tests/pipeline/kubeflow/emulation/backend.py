"""Releases of Kubeflow Pipelines' backend, as far as their drivers and launchers differ."""

from dataclasses import dataclass

RELEASES = ("2.4.1", "2.5.0", "2.14.0", "2.14.4", "2.15.0", "2.16.0", "2.16.1", "2.17.0")
"""Those whose sources were compared, in order; there are no others of a minor version from 2.6 to 2.13."""


@dataclass(frozen=True)
class Backend:
    """A backend.

    Attributes:
        release: one of RELEASES.
        publish_logs: the API server's variable PUBLISH_LOGS; unset means true.
    """

    release: str = RELEASES[-1]
    publish_logs: bool = True

    @property
    def adds_log(self) -> bool:
        """Whether the driver adds the output `executor-logs` to each step, which the launcher writes."""
        return self.publish_logs and self._from("2.5.0")

    @property
    def keeps_log_of_failure(self) -> bool:
        """Whether the launcher uploads that output, it alone, when the command failed."""
        return self._from("2.16.0")

    @property
    def numbers_attempts(self) -> bool:
        """Whether the launcher knows the attempt: its number ends the log's address, and is in the container's KFP_RETRY_INDEX."""
        return self._from("2.16.1")

    @property
    def output_file_in_task_folder(self) -> bool:
        """Whether `outputFile` lies beneath the task's folder, with the artifacts, and not in the container's `tmp/kfp_outputs`."""
        return self._from("2.15.0")

    @property
    def resolves_arguments(self) -> bool:
        """Whether the driver fills placeholders of input parameters in arguments; it knows no defaults of the component."""
        return self._from("2.17.0")

    @property
    def downloads_by_prefix(self) -> bool:
        """Whether an input brings along all objects whose keys begin like its own, such as `model_run` with `model`."""
        return not self._from("2.17.0")

    def _from(self, release: str) -> bool:
        return RELEASES.index(self.release) >= RELEASES.index(release)
