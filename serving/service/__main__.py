"""`python -m serving.service DATASET.yaml --state DIR --model-server HOST:PORT --model NAME`: serves until SIGTERM or SIGINT."""

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from components.contract.errors import InputError, ShelfRankError
from serving.exposure.retention import Retention
from serving.service.grpc.grpc_server import grpc_door
from serving.service.http.app import service_app
from serving.service.lifespan import opened, read
from serving.service.service_context import Parts
from serving.service.settings import Places, Settings
from serving.service.state.redis_password import redis_password
from serving.service.tls import Tls

_LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 75  # load balancers close after 60 s: who closes first must not be the one who is asked
PAGE_EXPLAIN_MS = 20_000.0  # the first explanation by a version takes seconds, and whoever tries the shop is there to see it


def parser() -> argparse.ArgumentParser:
    """The command line. What is secret comes from the environment: a command line is there for all to see."""
    made = argparse.ArgumentParser(
        prog="python -m serving.service",
        description="Ranks products for shoppers, in front of a model server.",
        epilog="Environment: SHELFRANK_TOKEN, which events and forgetting then need; SHELFRANK_LOG_SALT, in hexadecimal, with which the log"
        " hashes shoppers' ids; SHELFRANK_REDIS_PASSWORD.",
    )
    defaults = Settings()
    made.add_argument("dataset", type=Path, metavar="DATASET.yaml", help="the dataset file that the model was trained with")
    model = made.add_argument_group("the model")
    model.add_argument(
        "--model-server",
        required=True,
        action="append",
        metavar="HOST:PORT",
        help="gRPC address of TensorFlow Serving; given again for each replica",
    )
    model.add_argument("--model", required=True, metavar="NAME", help="the model's name there")
    model.add_argument("--label", default="", help="of the version that is asked; default: the newest")
    model.add_argument("--previous", default="", metavar="LABEL", help="of the version that is asked where that one fails")
    model.add_argument(
        "--hedged-share",
        type=float,
        default=defaults.hedged_share,
        metavar="SHARE",
        help="of requests, that may be sent to a second replica where the first is slow (%(default)s)",
    )
    model.add_argument(
        "--reuse-ms",
        type=float,
        default=defaults.reuse_ms,
        metavar="MS",
        help="for so long the same request isn't scored again (%(default)s)",
    )
    model.add_argument("--shadow", default="", metavar="LABEL", help="send a share of requests to it as well, to compare")
    model.add_argument(
        "--shadow-share", type=float, default=defaults.shadow_share, metavar="SHARE", help="how large a share of them (%(default)s)"
    )
    model.add_argument("--model-server-tls", action="store_true", help="connect to the model server by TLS")
    model.add_argument("--model-server-ca", type=Path, metavar="FILE", help="trust this CA there; default: those that the machine trusts")
    state = made.add_argument_group("the state and the log")
    state.add_argument("--state", type=Path, required=True, metavar="DIR", help="`state` of the last ingestion")
    state.add_argument("--redis", default="", metavar="URL", help="keep the state there; default: in memory")
    state.add_argument("--redis-cluster", action="store_true", help="the URL is of a node of a Redis Cluster")
    state.add_argument(
        "--redis-password-file", type=Path, metavar="FILE", help="its first line is Redis's password; or SHELFRANK_REDIS_PASSWORD"
    )
    state.add_argument("--load", action="store_true", help="bring the ingestion's state into Redis first; what is there already stays")
    state.add_argument("--snapshot", type=Path, metavar="DIR", help="save the state in memory there, and go on from there")
    state.add_argument("--log", type=Path, metavar="DIR", help="folder of the exposure log; default: none is kept")
    kept = "; default: no limit. What a label still needs stays, and while a run reads the log nothing goes"
    state.add_argument("--log-keep-days", type=float, default=0.0, metavar="D", help=f"remove files of the log that are older{kept}")
    state.add_argument("--log-keep-bytes", type=int, default=0, metavar="N", help="and the oldest while there is more than so much")
    state.add_argument("--log-keep-files", type=int, default=0, metavar="N", help="and while there are more than so many")
    shop = made.add_argument_group("how the shop ranks", "These files are read again when they change.")
    shop.add_argument("--experiments", type=Path, metavar="FILE", help="which arm a shopper is in, and what ranks there; default: none")
    shop.add_argument("--rules", type=Path, metavar="FILE", help="pin, boost, bury, filter, diversity; default: none")
    shop.add_argument("--sources", type=Path, metavar="FILE", help="named sources of candidates")
    shop.add_argument("--out-of-stock", type=Path, metavar="FILE", help="products that aren't shown, an id a line; default: none")
    door = made.add_argument_group("where it listens")
    door.add_argument("--host", default="127.0.0.1", help="to listen on (%(default)s)")
    door.add_argument("--port", type=int, default=8080, help="of REST (%(default)s)")
    door.add_argument("--grpc-port", type=int, metavar="PORT", help="answer gRPC there too; 0 takes any free one; default: no gRPC")
    door.add_argument(
        "--path-prefix",
        default=defaults.path_prefix,
        metavar="/PATH",
        help="under which a proxy shows the service, whether or not it takes the prefix off; default: none",
    )
    door.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let scripts of pages there call the service, such as https://shop.example; given again for each; * for all; default: none",
    )
    door.add_argument(
        "--keep-alive-s",
        type=int,
        default=KEEP_ALIVE_S,
        metavar="S",
        help="close a connection on which nothing has come for so long (%(default)s); longer than the proxy in front keeps it",
    )
    door.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak TLS only, with this certificate in PEM; needs --tls-key")
    door.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key")
    door.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="answer only who has a certificate of this CA (mutual TLS)")
    door.add_argument(
        "--page",
        nargs="?",
        const="",
        metavar="FILE",
        help="serve a page to try the shop with at /page/, and let requests name a model's version: for development, not for the public."
        " FILE holds values of the context to choose from, a line FEATURE=VALUE for each, such as a release's assets/categories",
    )
    limit = made.add_argument_group("limits")
    limit.add_argument("--deadline-ms", type=float, default=defaults.deadline_ms, help="within which `rank` answers (%(default)s)")
    limit.add_argument(
        "--most-at-once", type=int, default=defaults.most_at_once, metavar="N", help="requests that wait for the model (%(default)s)"
    )
    limit.add_argument(
        "--explain-at-once",
        type=int,
        default=defaults.explain_at_once,
        metavar="N",
        help="explanations under way at a time, of all clients together (%(default)s)",
    )
    limit.add_argument(
        "--explain-candidates",
        type=int,
        default=defaults.explain_candidates,
        metavar="N",
        help="of a request for an explanation (%(default)s)",
    )
    limit.add_argument("--explain-token", action="store_true", help="explain needs the token too; default: events and forgetting alone")
    limit.add_argument(
        "--body-s", type=float, default=defaults.body_s, metavar="S", help="within which a request's body has to be whole (%(default)s)"
    )
    limit.add_argument(
        "--asks-per-s", type=float, default=defaults.asks_per_s, metavar="N", help="rank and explain of one client; 0: no limit"
    )
    limit.add_argument(
        "--tells-per-s",
        type=float,
        default=defaults.tells_per_s,
        metavar="N",
        help="events and forget of one client; 0: no limit",
    )
    limit.add_argument(
        "--proxy", action="append", default=[], metavar="ADDRESS", help="believe its X-Forwarded-For; given again for each; default: none"
    )
    return made


def _tls(given: argparse.Namespace) -> Tls | None:
    if given.tls_cert is None and given.tls_key is None and given.tls_client_ca is None:
        return None
    if given.tls_cert is None or given.tls_key is None:
        raise InputError("expected --tls-cert and --tls-key, of which one is missing; name both for TLS")
    return Tls(given.tls_cert, given.tls_key, given.tls_client_ca)


def main() -> int:
    """Serve; 2 where the service can't start."""
    given, defaults = parser().parse_args(), Settings()
    sys.setswitchinterval(0.0005)  # the log's thread writes a lot of JSON: let requests have their turn between its steps
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        salt = bytes.fromhex(os.environ.get("SHELFRANK_LOG_SALT", "")) or None
        settings = Settings(
            label=given.label,
            previous=given.previous,
            deadline_ms=given.deadline_ms,
            hedged_share=given.hedged_share,
            reuse_ms=given.reuse_ms,
            asks_per_s=given.asks_per_s,
            tells_per_s=given.tells_per_s,
            most_at_once=given.most_at_once,
            proxies=tuple(given.proxy),
            retention=Retention(given.log_keep_days, given.log_keep_bytes, given.log_keep_files),
            body_s=given.body_s,
            explain_at_once=given.explain_at_once,
            explain_candidates=given.explain_candidates,
            explain_needs_token=given.explain_token,
            cors_origins=tuple(given.cors_origin),
            path_prefix=given.path_prefix,
            shadow=given.shadow,
            shadow_share=given.shadow_share,
            token=os.environ.get("SHELFRANK_TOKEN", ""),
            salt=salt,
            page=given.page is not None,
            explain_deadline_ms=defaults.explain_deadline_ms if given.page is None else PAGE_EXPLAIN_MS,
        )
        places = Places(
            dataset=given.dataset,
            state=given.state,
            model_server=given.model_server[0],
            replicas=tuple(given.model_server[1:]),
            model_server_tls=given.model_server_tls,
            model_server_ca=given.model_server_ca,
            model=given.model,
            redis=given.redis,
            redis_cluster=given.redis_cluster,
            redis_password=redis_password(given.redis_password_file),
            load=given.load,
            experiments=given.experiments,
            rules=given.rules,
            sources=given.sources,
            out_of_stock=given.out_of_stock,
            log=given.log,
            page_values=Path(given.page) if given.page else None,
            snapshot=given.snapshot,
        )
        tls = _tls(given)
        found = read(places)
    except (ShelfRankError, OSError, ValueError) as error:
        print(f"the service can't start: {error}", file=sys.stderr)
        return 2
    host = f"[{given.host}]" if ":" in given.host else given.host

    @asynccontextmanager
    async def doors() -> AsyncIterator[Parts]:
        async with opened(settings, places, found) as parts:
            if given.grpc_port is None:
                yield parts
                return
            async with grpc_door(parts, settings, address=f"{host}:{given.grpc_port}", credentials=tls and tls.for_grpc()) as port:
                _LOG.info("gRPC on %s:%d", host, port)
                yield parts

    app = service_app(settings, doors)
    gc.freeze()  # the catalogue stays: the garbage collector needn't look at it again
    config = uvicorn.Config(
        app,
        host=given.host,
        port=given.port,
        access_log=False,
        log_config=None,
        timeout_keep_alive=given.keep_alive_s,
        timeout_graceful_shutdown=int(settings.grace_s) or 1,
        proxy_headers=bool(given.proxy),  # uvicorn would believe this machine's
        forwarded_allow_ips=list(given.proxy),
        **(tls.for_uvicorn() if tls else {}),
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn has its own, and at its end raises the signal once more for who was there before
    server.run()
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
