"""Say what to do about failures of the cluster that runs a Beam job; the runners' own messages don't."""

_GUIDE = "see docs/how-to/beam-runners.md"
_REMEDIES = {  # by what the runner's message has
    "Insufficient number of network buffers": (
        "Flink's TaskManagers need `taskmanager.network.sort-shuffle.min-buffers: 64` and more network memory"
        " (`taskmanager.memory.network.min` and `.max`; 768 MB suffice for two slots)"
    ),
    "TaskManager with id": (
        "Flink lost a TaskManager, whose own log says why; with `restart-strategy.type: fixed-delay` and"
        " `jobmanager.execution.failover-strategy: full` in Flink's configuration a job goes on"
    ),
}


def remedy_of(message: str) -> str:
    """Return what to do about a runner's message, "" where that isn't known."""
    return next((f"{remedy}; {_GUIDE}" for part, remedy in _REMEDIES.items() if part in message), "")
