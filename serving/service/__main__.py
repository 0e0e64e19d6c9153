"""`python -m serving.service DATASET.yaml --state DIR --model-server HOST:PORT --model NAME`: serves until SIGTERM or SIGINT."""

import argparse
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import uvicorn

from components.contract.errors import ShelfRankError
from serving.service.app import service_app
from serving.service.opening import opened, read
from serving.service.settings import Places, Settings


def parser() -> argparse.ArgumentParser:
    """The command line. What is secret comes from the environment: a command line is there for all to see."""
    made = argparse.ArgumentParser(
        prog="python -m serving.service",
        description="Ranks products for shoppers, in front of a model server.",
        epilog="Environment: SHELFRANK_TOKEN, which events and forgetting then need; SHELFRANK_LOG_SALT, in hexadecimal, with which the log"
        " hashes shoppers' ids.",
    )
    defaults = Settings()
    made.add_argument("dataset", type=Path, metavar="DATASET.yaml", help="the dataset file that the model was trained with")
    made.add_argument("--state", type=Path, required=True, metavar="DIR", help="`state` of the last ingestion")
    made.add_argument("--model-server", required=True, metavar="HOST:PORT", help="gRPC address of TensorFlow Serving")
    made.add_argument("--model", required=True, metavar="NAME", help="the model's name there")
    made.add_argument("--label", default="", help="of the version that is asked; default: the newest")
    made.add_argument("--previous", default="", metavar="LABEL", help="of the version that is asked where that one fails")
    made.add_argument("--redis", default="", metavar="URL", help="keep the state there; default: in memory")
    made.add_argument("--load", action="store_true", help="bring the ingestion's state into Redis first; what is there already stays")
    made.add_argument("--snapshot", type=Path, metavar="DIR", help="save the state in memory there at the end, and go on from there")
    made.add_argument("--experiments", type=Path, metavar="FILE")
    made.add_argument("--rules", type=Path, metavar="FILE")
    made.add_argument("--sources", type=Path, metavar="FILE", help="named sources of candidates")
    made.add_argument("--log", type=Path, metavar="DIR", help="folder of the exposure log; default: none is kept")
    made.add_argument("--host", default="127.0.0.1", help="to listen on (%(default)s)")
    made.add_argument("--port", type=int, default=8080, help="(%(default)s)")
    made.add_argument("--deadline-ms", type=float, default=defaults.deadline_ms, help="within which `rank` answers (%(default)s)")
    return made


def main() -> int:
    """Serve; 2 where the service can't start."""
    given = parser().parse_args()
    sys.setswitchinterval(0.0005)  # the log's thread writes a lot of JSON: let requests have their turn between its steps
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        salt = bytes.fromhex(os.environ.get("SHELFRANK_LOG_SALT", "")) or None
        settings = Settings(
            label=given.label,
            previous=given.previous,
            deadline_ms=given.deadline_ms,
            token=os.environ.get("SHELFRANK_TOKEN", ""),
            salt=salt,
        )
        places = Places(
            dataset=given.dataset,
            state=given.state,
            model_server=given.model_server,
            model=given.model,
            redis=given.redis,
            load=given.load,
            experiments=given.experiments,
            rules=given.rules,
            sources=given.sources,
            log=given.log,
            snapshot=given.snapshot,
        )
        found = read(places)
    except (ShelfRankError, OSError, ValueError) as error:
        print(f"the service can't start: {error}", file=sys.stderr)
        return 2
    app = service_app(settings, lambda: opened(settings, places, found))
    gc.freeze()  # the catalogue stays: the garbage collector needn't look at it again
    config = uvicorn.Config(
        app, host=given.host, port=given.port, access_log=False, log_config=None, timeout_graceful_shutdown=int(settings.grace_s) or 1
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn has its own, and at its end raises the signal once more for who was there before
    server.run()
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
