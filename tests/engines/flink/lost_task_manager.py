"""Lose a TaskManager in the midst of a job, on clusters that restart jobs and on those that don't."""

import os
import signal
import time

from tests.engines.flink.cluster import Flink

PATIENCE_S = 600.0
_QUICK = {"heartbeat.timeout": "30000", "heartbeat.interval": "3000"}
RESTARTING = _QUICK | {  # the same as in docs/how-to/beam-runners.md
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "3",
    "restart-strategy.fixed-delay.delay": "2 s",
    "jobmanager.execution.failover-strategy": "full",
}
UNFORGIVING = _QUICK | {"restart-strategy.type": "none"}


def disturb_next_job(flink: Flink, number: signal.Signals, *, skipped: int = 0) -> str:
    """Send a signal to the TaskManager in the midst of the next job, start another one, and return the job's id.

    Jobs that are `skipped` run before it.

    The midst is when some of the job's tasks have finished and others run.
    """
    passed = skipped + len(flink.ask("jobs/overview")["jobs"])
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        jobs = sorted(flink.ask("jobs/overview")["jobs"], key=lambda job: job["start-time"])
        for job in jobs[passed:]:
            if job["tasks"]["finished"] and job["tasks"]["running"]:
                os.kill(flink.task_managers[-1].pid, number)
                flink.start_task_manager()
                return str(job["jid"])
        time.sleep(0.05)
    raise TimeoutError("no job begins")


def restarted(flink: Flink, job: str) -> bool:
    """Whether Flink ran a job anew."""
    return bool(flink.ask(f"jobs/{job}")["timestamps"]["RESTARTING"])
