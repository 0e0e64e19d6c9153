"""Run the ranking service until SIGTERM or SIGINT.

python -m serving.service DATASET.yaml --state DIR --model-server HOST:PORT --model NAME
"""

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import uvicorn

from components.contract.errors import InputError, ShelfRankError
from serving.exposure.retention import Retention
from serving.service.grpc.grpc_server import serve_grpc
from serving.service.http.app import service_app
from serving.service.lifespan import load_files, open_service
from serving.service.service_context import ServiceContext
from serving.service.settings import Locations, Settings
from serving.service.state.redis_password import redis_password
from serving.service.tls import Tls

_LOG = logging.getLogger(__name__)
KEEP_ALIVE_S = 75  # longer than load balancers' 60 s: a server that closes first loses requests
PAGE_EXPLAIN_MS = 20_000.0  # a version's first explanation takes seconds


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser. Secrets come from the environment: others can see command lines."""
    command_line = argparse.ArgumentParser(
        prog="python -m serving.service",
        description="Ranks products for shoppers, in front of a model server.",
        epilog="Environment: SHELFRANK_TOKEN, which events and forgetting then need; SHELFRANK_LOG_SALT, in hexadecimal, with which the log"
        " hashes shoppers' ids; SHELFRANK_REDIS_PASSWORD.",
    )
    defaults = Settings()
    command_line.add_argument("dataset", type=Path, metavar="DATASET.yaml", help="the dataset file that the model was trained with")
    model = command_line.add_argument_group("the model")
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
    state = command_line.add_argument_group("the state and the log")
    state.add_argument("--state", type=Path, required=True, metavar="DIR", help="`state` of the last ingestion")
    state.add_argument("--redis", default="", metavar="URL", help="keep the state there; default: in memory")
    state.add_argument("--redis-cluster", action="store_true", help="the URL is of a node of a Redis Cluster")
    state.add_argument(
        "--redis-password-file", type=Path, metavar="FILE", help="its first line is Redis's password; or SHELFRANK_REDIS_PASSWORD"
    )
    state.add_argument("--load", action="store_true", help="bring the ingestion's state into Redis first; what is there already stays")
    state.add_argument("--snapshot", type=Path, metavar="DIR", help="save the state in memory there, and go on from there")
    state.add_argument(
        "--events-to",
        default="",
        metavar="ADDRESS",
        help="write events to a stream, kafka://HOST:PORT/TOPIC or redis://HOST:PORT/DB?stream=NAME, instead of to the log and the state:"
        " `shelfrank stream` changes that; needs --redis",
    )
    state.add_argument("--log", type=Path, metavar="DIR", help="folder of the exposure log; default: none is kept")
    state.add_argument(
        "--logged-features",
        type=float,
        default=defaults.logged_features,
        metavar="SHARE",
        help="of the decisions, that are logged with the features sent, which `shelfrank drift` compares (%(default)s)",
    )
    no_limit = "; default: no limit. What a label still needs stays, and while a run reads the log nothing goes"
    state.add_argument("--log-keep-days", type=float, default=0.0, metavar="D", help=f"remove files of the log that are older{no_limit}")
    state.add_argument("--log-keep-bytes", type=int, default=0, metavar="N", help="and the oldest while there is more than so much")
    state.add_argument("--log-keep-files", type=int, default=0, metavar="N", help="and while there are more than so many")
    shop = command_line.add_argument_group("how the shop ranks", "These files are read again when they change.")
    shop.add_argument("--experiments", type=Path, metavar="FILE", help="which arm a shopper is in, and what ranks there; default: none")
    shop.add_argument("--rules", type=Path, metavar="FILE", help="pin, boost, bury, filter, diversity; default: none")
    shop.add_argument("--sources", type=Path, metavar="FILE", help="named sources of candidates")
    shop.add_argument("--out-of-stock", type=Path, metavar="FILE", help="products that aren't shown, an id a line; default: none")
    listen = command_line.add_argument_group("where it listens")
    listen.add_argument("--host", default="127.0.0.1", help="to listen on (%(default)s)")
    listen.add_argument("--port", type=int, default=8080, help="of REST (%(default)s)")
    listen.add_argument("--grpc-port", type=int, metavar="PORT", help="answer gRPC there too; 0 takes any free one; default: no gRPC")
    listen.add_argument(
        "--path-prefix",
        default=defaults.path_prefix,
        metavar="/PATH",
        help="under which a proxy shows the service, whether or not it takes the prefix off; default: none",
    )
    listen.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let scripts of pages there call the service, such as https://shop.example; given again for each; * for all; default: none",
    )
    listen.add_argument(
        "--keep-alive-s",
        type=int,
        default=KEEP_ALIVE_S,
        metavar="S",
        help="close a connection on which nothing has come for so long (%(default)s); longer than the proxy in front keeps it",
    )
    listen.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak TLS only, with this certificate in PEM; needs --tls-key")
    listen.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key")
    listen.add_argument("--tls-client-ca", type=Path, metavar="FILE", help="answer only who has a certificate of this CA (mutual TLS)")
    listen.add_argument(
        "--page",
        nargs="?",
        const="",
        metavar="FILE",
        help="serve a page to try the shop with at /page/, and let requests name a model's version: for development, not for the public."
        " FILE holds values of the context to choose from, a line FEATURE=VALUE for each, such as a release's assets/categories",
    )
    limit = command_line.add_argument_group("limits")
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
        "--tells-per-s", type=float, default=defaults.tells_per_s, metavar="N", help="events and forget of one client; 0: no limit"
    )
    limit.add_argument(
        "--proxy", action="append", default=[], metavar="ADDRESS", help="believe its X-Forwarded-For; given again for each; default: none"
    )
    return command_line


def _tls(args: argparse.Namespace) -> Tls | None:
    if args.tls_cert is None and args.tls_key is None and args.tls_client_ca is None:
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise InputError("expected --tls-cert and --tls-key, of which one is missing; name both for TLS")
    return Tls(args.tls_cert, args.tls_key, args.tls_client_ca)


def _settings(args: argparse.Namespace) -> Settings:
    named_otherwise: dict[str, Any] = {
        "proxies": tuple(args.proxy),
        "retention": Retention(args.log_keep_days, args.log_keep_bytes, args.log_keep_files),
        "explain_needs_token": args.explain_token,
        "cors_origins": tuple(args.cors_origin),
        "token": os.environ.get("SHELFRANK_TOKEN", ""),
        "salt": bytes.fromhex(os.environ.get("SHELFRANK_LOG_SALT", "")) or None,
        "page": args.page is not None,
        "explain_deadline_ms": Settings.explain_deadline_ms if args.page is None else PAGE_EXPLAIN_MS,
    }
    return Settings(**_by_field(args, Settings) | named_otherwise)


def _locations(args: argparse.Namespace) -> Locations:
    named_otherwise: dict[str, Any] = {
        "model_server": args.model_server[0],
        "replicas": tuple(args.model_server[1:]),
        "redis_password": redis_password(args.redis_password_file),
        "page_values": Path(args.page) if args.page else None,
    }
    return Locations(**_by_field(args, Locations) | named_otherwise)


def _by_field(args: argparse.Namespace, kind: type[Settings] | type[Locations]) -> dict[str, Any]:
    """Return the arguments that have the name of a dataclass's field."""
    return {field.name: getattr(args, field.name) for field in fields(kind) if hasattr(args, field.name)}


def main() -> int:
    """Run the service; return 2 where it can't start."""
    args = parser().parse_args()
    sys.setswitchinterval(0.0005)  # the log's thread serializes much JSON: let requests run in between
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings, locations, tls = _settings(args), _locations(args), _tls(args)
        files = load_files(locations)
    except (ShelfRankError, OSError, ValueError) as error:
        print(f"the service can't start: {error}", file=sys.stderr)
        return 2
    host = f"[{args.host}]" if ":" in args.host else args.host

    @asynccontextmanager
    async def open_protocols() -> AsyncIterator[ServiceContext]:
        async with open_service(settings, locations, files) as service:
            if args.grpc_port is None:
                yield service
                return
            async with serve_grpc(service, settings, address=f"{host}:{args.grpc_port}", credentials=tls and tls.for_grpc()) as port:
                _LOG.info("gRPC on %s:%d", host, port)
                yield service

    app = service_app(settings, open_protocols)
    gc.freeze()  # the catalogue stays for good: the garbage collector needn't scan it
    config = uvicorn.Config(
        app,
        host=args.host,
        port=args.port,
        access_log=False,
        log_config=None,
        timeout_keep_alive=args.keep_alive_s,
        timeout_graceful_shutdown=int(settings.grace_s) or 1,
        proxy_headers=bool(args.proxy),  # by default uvicorn trusts this machine's
        forwarded_allow_ips=list(args.proxy),
        **(tls.for_uvicorn() if tls else {}),
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn sets its own, and at its end raises the signal again for the former handler
    server.run()
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
