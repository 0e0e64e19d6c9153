"""`python -m pipeline.ops.attached MODULE ARGUMENTS`: runs a module for as long as the process that started it lives.

Standard input is a pipe whose other end the starting process holds. It closes with that process, however that ends, `kill -9` included.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 20.0  # to answer what is under way and to save; then it ends anyway


def main() -> None:
    """Run the module as its own command line would."""
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
