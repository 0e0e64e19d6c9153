"""Why a container ended, for Kubernetes: it puts what stands in a file of the container into the pod's status.

Argo puts that into the message of the workflow's node (`inferFailedReason` in its `operator.go`), and the UI shows it beside the step.
"""

import os
from contextlib import suppress
from pathlib import Path

from pipeline.kubeflow.step.artifact_paths import ROOT

TERMINATION_LOG = "/dev/termination-log"
"""The file, unless a pod says otherwise; the kubelet makes it before the container starts."""

TERMINATION_BYTES = 4096
"""The kubelet reads no more of it."""


def write_termination_message(text: str) -> None:
    """Leave a message for the pod's status; nothing where there is no such file, as outside of a pod."""
    file = Path(os.environ.get(ROOT, "/"), TERMINATION_LOG.lstrip("/"))
    # A message is a help, not worth another failure: the same sentence is in the log.
    with suppress(OSError):
        if file.is_file():
            file.write_bytes(text.encode()[:TERMINATION_BYTES].decode("utf-8", "ignore").encode())
