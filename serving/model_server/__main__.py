"""Run the model server with TensorFlow Serving's command line: `python -m serving.model_server`."""

import gc
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.model_server.config import ServerConfig
    from serving.model_server.server import ModelServer


def main() -> int:
    """Serve until SIGINT or SIGTERM; return 2 where the server can't start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Loading a version runs a lot of Python: a short switch interval lets requests run in between.
    sys.setswitchinterval(0.0005)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    from serving.model_server.errors import ServingError
    from serving.model_server.flags import parse
    from serving.model_server.server import ModelServer

    # Imported modules stay: a garbage collection that scanned them again would halt every request.
    gc.freeze()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        config = parse()
        with ModelServer(config) as server:
            announce(config, server)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (ServingError, OSError) as error:
        print(f"Failed to start server. Error: {getattr(error, 'status_text', error)}", file=sys.stderr)
        return 2
    return 0


def announce(config: "ServerConfig", server: "ModelServer") -> None:
    """Print the addresses that the server listens on to stderr."""
    grpc = [f"{config.host}:{server.grpc_port}"] * (config.grpc_port is not None) + [f"unix:{config.socket_path}"] * bool(
        config.socket_path
    )
    rest = [f"http://{config.host}:{server.rest_port}/v1/models"] * (config.rest_port is not None)
    print("ShelfRank's model server, for development and tests: in production run TensorFlow Serving.", file=sys.stderr)
    print(f"gRPC {' '.join(grpc)}, REST {' '.join(rest) or 'closed'}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
