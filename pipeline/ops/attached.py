"""Run a module for as long as the process that started it lives: `python -m pipeline.ops.attached MODULE ARGUMENTS`.

Standard input is a pipe whose other end the parent process holds. It closes when the parent ends, `kill -9` included.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 20.0  # to finish requests and to save; then the process exits anyway


def main() -> None:
    """Run the module as `python -m MODULE ARGUMENTS` would."""
    threading.Thread(target=_end_with_the_starter, name="attached", daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_the_starter() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
