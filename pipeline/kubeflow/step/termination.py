"""Write the reason of a container's end to the file whose content Kubernetes copies into the pod's status.

Argo puts that into the message of the workflow's node (`inferFailedReason` in its `operator.go`), and the UI shows it
beside the step.
"""

import os
from contextlib import suppress
from pathlib import Path

from pipeline.kubeflow.step.artifact_paths import ROOT

TERMINATION_LOG = "/dev/termination-log"
"""The file's default path; the kubelet creates it before the container starts."""

TERMINATION_BYTES = 4096
"""The kubelet reads at most so many bytes of it."""


def write_termination_message(text: str) -> None:
    """Write a message for the pod's status; does nothing where there is no such file, as outside of a pod."""
    file = Path(os.environ.get(ROOT, "/"), TERMINATION_LOG.lstrip("/"))
    # The same sentence is in the log, so failing to write it here is no failure of the step.
    with suppress(OSError):
        if file.is_file():
            file.write_bytes(text.encode()[:TERMINATION_BYTES].decode("utf-8", "ignore").encode())
