"""Parse the command line, `shelfrank`, and run the command that it names."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from components.contract.errors import ShelfRankError
from pipeline.terminal.exit_code import (
    EXIT_DIFFERENT,
    EXIT_FAILURE,
    EXIT_FROZEN,
    EXIT_INTERRUPTED,
    EXIT_NOT_FOUND,
    EXIT_NOT_LOGGED,
    EXIT_PROMOTED,
    EXIT_RELEASE_GONE,
    EXIT_ROLLED_BACK,
    exit_code,
)

_EXITS = (
    "exit codes: 0 success, 1 failure, 2 bad input (options, dataset file or data), "
    "3 the gates or the rehearsal refused the model, 4 a run on a cluster succeeded and whether it released can't be known, "
    f"{EXIT_FROZEN} frozen: the data points to a fault, and a person must look, 130 interrupted"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code."""
    args = parser().parse_args(argv)
    # TensorFlow reads these when it is imported, which is after this.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # What a command imports may be heavy; `--help` shouldn't wait for it.
    from pipeline.cli import commands

    try:
        code: int | None = getattr(commands, args.command)(args)
    except ShelfRankError as error:
        if args.debug:
            raise
        print(*(f"shelfrank {args.command}: {each}" for each in (error, *getattr(error, "__notes__", ()))), sep="\n", file=sys.stderr)
        return exit_code(error)
    except OSError as error:
        if args.debug:
            raise
        print(f"shelfrank {args.command}: {error}", file=sys.stderr)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        print(f"shelfrank {args.command}: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code or 0


def parser() -> argparse.ArgumentParser:
    """Declare all commands and their options."""
    top = argparse.ArgumentParser(prog="shelfrank", description="Event logs in, a ranked shelf out.", epilog=_EXITS)
    top.add_argument("--version", action="version", version=f"shelfrank {version('shelfrank')}")
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--debug", action="store_true", help="show where an error was raised")
    json = argparse.ArgumentParser(add_help=False)
    json.add_argument("--json", action="store_true", help="print the result as JSON")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=_EXITS, parents=[every, *parents]
        )

    _simulate(command("simulate", "write a simulated shop's logs, with the truth behind them", json))

    validate = command("validate", "check a dataset file against its data", json)
    validate.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    validate.add_argument("--data", metavar="DIR", help="where its relative paths are looked up (default: its own folder)")

    _init(command("init", "draft a dataset file from a shop's files: what they hold, what is sure and what isn't", json))

    run = command("run", "run the whole graph on this machine: from logs to a release", json)
    run.add_argument(
        "dataset", metavar="DATASET.yaml", nargs="?", help="the dataset file (default: a simulated shop, made first if need be)"
    )
    run.add_argument(
        "--data", metavar="DIR", help="where its relative paths are looked up (default: its own folder; of the simulated shop: ROOT/data)"
    )
    run.add_argument("--root", metavar="DIR", help="folder of everything the run makes (default: runs/<name of the dataset>)")
    run.add_argument("--data-until", metavar="TIME", default="", help="the data ends there (default: as the dataset file says)")
    run.add_argument(
        "--start",
        choices=("warm", "full"),
        default="",
        help="train from the champion's weights, or anew (default: as the dataset file says)",
    )
    run.add_argument(
        "--run-id", metavar="ID", default="", help="go on with the run of this id, on the data it began with, though files have come since"
    )

    run.add_argument(
        "--keep-runs", metavar="N", type=_count, help="remove artifacts and logs that none of the last N runs needs (default: keep all)"
    )

    refresh = command("refresh", "train the release in force on the newest requests, and release the weights that changed", json)
    refresh.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    refresh.add_argument("--data", metavar="DIR", help="where its relative paths are looked up (default: its own folder)")
    refresh.add_argument("--root", metavar="DIR", help="folder of the runs (default: runs/<name of the dataset>)")
    refresh.add_argument("--data-until", metavar="TIME", default="", help="the data ends there (default: as the dataset file says)")
    refresh.add_argument("--window", metavar="TIME", default="1d", help="requests of the last so long at most are trained on (default: 1d)")

    report = command("report", "print the last finished run again: metrics by slice, champion and challenger", json)
    report.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
    report.add_argument("--html", metavar="FILE", help="write it as one HTML page instead")

    _releases(command("releases", "list the releases of a run, and move the labels they carry", json))

    _guard(command("guard", "compare the canary with the stable release on live traffic, and promote it or roll it back"))

    serve = command(
        "serve",
        "start a model server, the ranking service and a page to try it with, on the newest releases of a run, on this machine alone",
    )
    serve.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
    serve.add_argument("--port", metavar="N", type=_port, default=8080, help="of the ranking service (default: 8080)")
    serve.add_argument("--grpc-port", metavar="N", type=_port, default=8500, help="of the model server's gRPC (default: 8500)")
    serve.add_argument("--rest-port", metavar="N", type=_port, default=8501, help="of its REST (default: 8501)")
    serve.add_argument(
        "--versions",
        metavar="N",
        type=_count,
        default=3,
        help="how many of the newest releases to have ready, to switch between on the page; each takes memory (default: 3)",
    )
    serve.add_argument("--open", action="store_true", help="open the page in the browser")

    _stream(command("stream", "read events as they happen into the online state and the event log, each exactly once", json))

    _retrain(command("retrain", "retrain by schedule, drift, live figures or by hand: train, try, promote or roll back", json))

    history = command("history", "show what became of retraining: each cycle with its reasons, release, outcome and cost", json)
    history.add_argument("--root", metavar="DIR", help="folder of the runs (default: the one under runs/ that retrained last)")
    history.add_argument("--html", metavar="FILE", help="write it as one HTML page, with a timeline")
    history.add_argument(
        "--store",
        metavar="ADDRESS",
        help="show instead what became of Kubeflow's runs that publish to this store, which write no ledger: a recurring run's too",
    )
    _drift(command("drift", "compare what is served with what a release was made from, and say what to do", json))
    _audit(command("audit", "show what a shopper saw and why, and compute its scores again from release and log", json))

    _experiment(command("experiment", "plan A/B experiments, and report what they came to", json))
    _roi(command("roi", "show what all experiments returned: gains, costs, payback, and every assumption", json))

    _compile(command("compile", "compile the graph for Kubeflow Pipelines", json))
    _submit(command("submit", "run a compiled pipeline on Kubeflow, and follow the run to its end", json))
    _schedule(command("schedule", "run a compiled pipeline on Kubeflow again and again, each time on the data up to then", json))

    schema = command("schema", "print the JSON Schema of the dataset file, for editors")
    schema.add_argument("--cluster", action="store_true", help="that of the cluster file of `compile` instead")
    return top


def _roi(roi: argparse.ArgumentParser) -> None:
    roi.add_argument(
        "reports",
        metavar="REPORT",
        nargs="+",
        help="reports of `shelfrank experiment report`, of all experiments that ended, shipped or not; files or folders of them",
    )
    roi.add_argument("--prices", metavar="FILE.yaml", required=True, help="the price file: prices, hours, what was shipped when")
    roi.add_argument(
        "--root", metavar="DIR", help="folder of the runs: ledger of retraining, last run, guard's journal, size (default: none of these)"
    )
    roi.add_argument("--releases", metavar="DIR", help="folder of the releases, with the guard's journal (default: ROOT/releases)")
    roi.add_argument("--name", metavar="NAME", help="of the shop, in titles (default: the reports' dataset)")
    roi.add_argument("--html", metavar="FILE", help="write it as one HTML page, which can be mailed")
    roi.add_argument("--pdf", metavar="FILE", help="write it as a PDF")


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _init(init: argparse.ArgumentParser) -> None:
    init.add_argument(
        "files", metavar="FILE", nargs="+", help="logs and tables: Parquet, CSV or JSON Lines (also .gz, .zst), or folders of them"
    )
    init.add_argument("-o", "--out", metavar="DATASET.yaml", help="file to write (default: NAME.yaml here)")
    init.add_argument("--name", metavar="NAME", help="of the shop (default: after the folder of its files; the file is then shop.yaml)")
    init.add_argument("--force", action="store_true", help="replace the file if it is there")
    init.add_argument("--yes", action="store_true", help="ask nothing: take the likeliest answer, and say so in the file")
    init.add_argument(
        "--unknown",
        dest="known_formats",
        action="store_false",
        help="don't look for public data sets that are known by name (RetailRocket, MovieLens, ...)",
    )
    init.add_argument("--prepare", metavar="DIR", help="of a public data set that must be joined first: write its joined files there")
    overrides = init.add_argument_group("what needn't be guessed (each may be given again)")
    overrides.add_argument(
        "--file", metavar="FILE=USE", action="append", default=[], help="a file holds events, items, users, or ignore it"
    )
    overrides.add_argument(
        "--role", metavar="[FILE:]ROLE=COLUMN", action="append", default=[], help="a column's role, such as user=cust_no; `-`: no column"
    )
    overrides.add_argument(
        "--action", metavar="NAME=VALUE[:GAIN]", action="append", default=[], help="what a word of the log means, such as purchase=buy:5"
    )
    overrides.add_argument("--candidates", choices=("impressions", "list", "sampling", "rows"), help="where candidates come from")
    first = overrides.add_mutually_exclusive_group()
    first.add_argument("--day-first", action="store_true", default=None, help="in dates such as 3/4/2026 the day stands first")
    first.add_argument("--month-first", dest="day_first", action="store_false", help="or the month")


def _releases(releases: argparse.ArgumentParser) -> None:
    # As `every` and `json`, but an option left out behind the action doesn't reset the one before it.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--debug", action="store_true", help="show where an error was raised")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    actions = releases.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=_EXITS, parents=[common])
        added.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
        added.add_argument(
            "--releases",
            metavar="ADDRESS",
            help="the releases: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX (default: ROOT/releases)",
        )
        return added

    def label_action(name: str, about: str) -> argparse.ArgumentParser:
        added = action(name, about)
        added.add_argument(
            "--server",
            metavar="HOST:PORT",
            help="gRPC of a model server to bring along (default: only write the files beside the releases)",
        )
        added.add_argument("--model", metavar="NAME", help="name that servers have the model under (default: as before; the dataset's)")
        added.add_argument(
            "--base-path", metavar="DIR", help="the releases' folder as servers see it (default: as before; where it is on this machine)"
        )
        added.add_argument("--timeout", metavar="SECONDS", type=float, default=60.0, help="how long the server may take (default: 60)")
        return added

    action("list", "show each release with its metrics and labels, newest first")
    promote = label_action("promote", "give a label to a release")
    promote.add_argument("version", metavar="VERSION", type=int, help="the release")
    promote.add_argument("--label", required=True, choices=("stable", "canary"), help="the label")
    rollback = label_action("rollback", "give a label back to the release that carried it before")
    rollback.add_argument("--label", default="stable", choices=("stable", "canary"), help="the label (default: stable)")
    prune = action("prune", "remove old releases; the newest, those with a label and those that a rollback returns to stay")
    prune.add_argument("--keep", metavar="N", type=int, default=0, help="so many releases at most")
    prune.add_argument("--days", metavar="D", type=float, default=0.0, help="none that is older")
    prune.add_argument("--bytes", metavar="N", type=int, default=0, help="so much of all together")


def _stream(stream: argparse.ArgumentParser) -> None:
    stream.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    stream.add_argument(
        "--from",
        dest="source",
        metavar="ADDRESS",
        required=True,
        help="kafka://HOST:PORT/TOPIC, redis://HOST:PORT/0?stream=NAME, a file or a pattern of files, `-` (standard input),"
        " or dead-letters:DIR (what was set aside, once more)",
    )
    stream.add_argument("--redis", metavar="URL", required=True, help="of the online state, such as redis://HOST:6379/0")
    stream.add_argument("--redis-cluster", action="store_true", help="it is a node of a Redis Cluster")
    stream.add_argument(
        "--redis-password-file", type=Path, metavar="FILE", help="holds its password (default: SHELFRANK_REDIS_PASSWORD, if set)"
    )
    stream.add_argument("--log", type=Path, metavar="DIR", required=True, help="folder of the event log: Parquet files for the next run")
    stream.add_argument("--dead-letters", type=Path, metavar="DIR", help="folder of what couldn't be taken (default: LOG/dead-letters)")
    stream.add_argument("--state", type=Path, metavar="DIR", help="feature state of the last ingestion")
    stream.add_argument("--load", action="store_true", help="bring that state into Redis first, and go on where its data ends")
    stream.add_argument("--group", metavar="NAME", help="of consumers that share the partitions (default: the dataset's name)")
    stream.add_argument("--follow", action="store_true", help="at the end of files, wait for further lines and files")
    written = stream.add_argument_group("how messages are written")
    written.add_argument("--events", metavar="N", type=int, default=0, help="index of the dataset file's event source (default: 0)")
    written.add_argument("--format", choices=("json", "avro", "protobuf"), default="json", help="of the messages (default: json)")
    written.add_argument(
        "--schema", type=Path, metavar="FILE", help="Avro schema, or Protobuf descriptor set (protoc --descriptor_set_out)"
    )
    written.add_argument("--message", metavar="NAME", help="full name of the Protobuf message")
    written.add_argument("--registry", metavar="URL", help="schema registry whose ids the messages carry (Confluent's wire format)")
    limits = stream.add_argument_group("limits")
    limits.add_argument("--batch", metavar="N", type=_count, default=50_000, help="messages applied together at most (default: 50000)")
    limits.add_argument("--linger", metavar="SECONDS", type=_seconds, default=0.05, help="how long to wait for them (default: 0.05)")
    limits.add_argument(
        "--lateness", metavar="SECONDS", type=_seconds, default=3600.0,
        help="how much older an event may be than one before it; older ones are set aside (default: 3600)",
    )  # fmt: skip
    limits.add_argument(
        "--largest", metavar="BYTES", type=_count, default=1 << 20, help="of a message; larger ones are set aside (default: 1 MiB)"
    )
    limits.add_argument(
        "--window", metavar="SECONDS", type=_seconds, default=60.0, help="a file of the log holds so much time (default: 60)"
    )
    limits.add_argument("--window-rows", metavar="N", type=_count, default=500_000, help="or so many rows (default: 500000)")
    limits.add_argument("--dead-bytes", metavar="BYTES", type=_count, default=1 << 30, help="of dead letters at most (default: 1 GiB)")
    stream.add_argument("--metrics-port", metavar="N", type=_port, help="for Prometheus (default: none)")
    stream.add_argument("--metrics-host", metavar="HOST", default="127.0.0.1", help="to listen on (default: 127.0.0.1)")


def _retrain(retrain: argparse.ArgumentParser) -> None:
    retrain.epilog = (
        "exit codes: 0 success, with --once also where nothing is due or a release is on trial, 1 failure, 2 bad input, 3 the gates or the"
        f" rehearsal refused the model, {EXIT_ROLLED_BACK} the canary was rolled back, {EXIT_FROZEN} frozen: a person must look;"
        " 0 when it is ended"
    )
    retrain.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    retrain.add_argument("--data", metavar="DIR", help="where its relative paths are looked up (default: its own folder)")
    retrain.add_argument("--root", metavar="DIR", help="folder of the runs and of the ledger (default: runs/<name of the dataset>)")
    retrain.add_argument("--look", metavar="SECONDS", type=_seconds, default=30.0, help="between two looks at what asks (default: 30)")
    once = retrain.add_mutually_exclusive_group()
    once.add_argument("--now", action="store_true", help="retrain once, and end")
    once.add_argument("--once", action="store_true", help="look once at what asks for retraining, retrain if it does, and end")
    once.add_argument("--lift", metavar="REASON", help="lift a freeze: the cause was seen to")
    asks = retrain.add_argument_group("what asks for it")
    time = asks.add_mutually_exclusive_group()
    time.add_argument("--every", metavar="TIME", help="every 12h, 1d and so on, the first time at once; missed times are caught up once")
    time.add_argument("--cron", metavar="FIELDS", help="or at these times: second, minute, hour, day, month, weekday, in quotes")
    asks.add_argument("--time-zone", metavar="ZONE", default="UTC", help="of --cron (default: UTC)")
    asks.add_argument("--drift", metavar="FILE", help="what `shelfrank drift --json` decided; each new decision is acted on once")
    asks.add_argument("--metrics-page", metavar="URL", help="metrics of `shelfrank stream`, `guard` or the service; or a file")
    asks.add_argument("--when", metavar="LIMIT", help='retrain when a figure there is beyond a limit: NAME{LABEL="VALUE"} / NAME < NUMBER')
    asks.add_argument("--rest", metavar="TIME", default="1d", help="how long after a cycle --when doesn't ask again (default: 1d)")
    what = retrain.add_argument_group("what is trained")
    start = what.add_mutually_exclusive_group()
    start.add_argument("--warm", dest="start", action="store_const", const="warm", help="from the weights of the release in force")
    start.add_argument(
        "--full", dest="start", action="store_const", const="full", help="anew (default: as `warm_start` of the dataset file)"
    )
    what.add_argument("--data-until", metavar="TIME", default="", help="the data ends there (default: when the cycle begins)")
    what.add_argument(
        "--keep-runs",
        metavar="N",
        type=_count,
        default=5,
        help="after a training remove artifacts and logs that none of the last N runs on this machine needs (default: 5)",
    )
    labels = retrain.add_argument_group("what becomes of a release")
    labels.add_argument("--canary", action="store_true", help="label it canary, and leave it to `shelfrank guard` (default: promote it)")
    labels.add_argument(
        "--canary-for", metavar="TIME", default="7d", help="how long the guard may take before it is withdrawn (default: 7d)"
    )
    labels.add_argument("--releases", metavar="ADDRESS", help="the releases (default: ROOT/releases; with --kubeflow those of its store)")
    labels.add_argument("--model-server", metavar="HOST:PORT", help="gRPC of the model server to move labels on")
    labels.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=60.0, help="how long it may take (default: 60)")
    retrain.add_argument("--metrics-port", metavar="N", type=_port, help="for Prometheus (default: none)")
    retrain.add_argument("--metrics-host", metavar="HOST", default="127.0.0.1", help="to listen on (default: 127.0.0.1)")
    retrain.add_argument("--kubeflow", metavar="PIPELINE.yaml", help="train on Kubeflow, by what `shelfrank compile` wrote")
    retrain.add_argument("--poll", metavar="SECONDS", type=_seconds, default=5.0, help="between two looks at a run there (default: 5)")
    _kubeflow(retrain, needed=False)


def _drift(drift: argparse.ArgumentParser) -> None:
    drift.epilog = (
        "exit codes: 0 nothing to do, 10 retrain warm, 11 retrain full, 12 freeze and call a person; 1 failure, 2 bad input (options,"
        " dataset file or data)"
    )
    drift.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    drift.add_argument("--log", metavar="DIR", help="the ranking service's exposure log")
    drift.add_argument(
        "--examples",
        metavar="DIR",
        help="or ingestion's examples, a folder with folders Split-NAME; with both, the features that were sent are also compared"
        " with those that ingestion computed for the same requests",
    )
    drift.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
    drift.add_argument(
        "--releases",
        metavar="ADDRESS",
        help="the releases: a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX (default: ROOT/releases)",
    )
    drift.add_argument(
        "--release", metavar="N", type=_count, help="whose window is the reference (default: the one labelled stable, or else the newest)"
    )
    drift.add_argument(
        "--from", dest="from_time", metavar="TIME",
        help="start of the window, UTC, such as 2026-01-31T06:00 (default: of the log the dataset file's `drift.horizons` together, of"
        " examples the end of the release's window); scores, delays and ranking quality are compared with what the log holds before",
    )  # fmt: skip
    drift.add_argument("--until", dest="until_time", metavar="TIME", help="its end (default: all there is)")
    drift.add_argument("--html", metavar="FILE", help="write the report as one HTML page too")
    drift.add_argument("--metrics", metavar="FILE", help="write metrics for node_exporter's textfile collector too")


def _experiment(experiment: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--debug", action="store_true", help="show where an error was raised")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    actions = experiment.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str, epilog: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=epilog, parents=[common])

    plan = action(
        "plan",
        "say how many shoppers and days an experiment needs, and the least effect that it finds, from the shop's own log",
        "exit codes: 0 success, 1 failure, 2 bad input (options, dataset file or log)",
    )
    plan.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    plan.add_argument("--log", metavar="DIR", required=True, help="the ranking service's exposure log")
    plan.add_argument("--days", metavar="N", type=_count, nargs="+", default=[7, 14, 28], help="durations to look at (default: 7 14 28)")
    plan.add_argument("--arms", metavar="N", type=_count, default=2, help="the control among them (default: 2)")
    plan.add_argument("--traffic", metavar="SHARE", default="100%", help="share of the shoppers that the experiment has (default: 100%%)")
    plan.add_argument("--effect", metavar="SHARE", default="2%", help="relative effect to find (default: 2%%)")
    plan.add_argument("--alpha", metavar="SHARE", default="5%", help="error rate of all treatments together (default: 5%%)")
    plan.add_argument("--power", metavar="SHARE", default="80%", help="chance to find the effect (default: 80%%)")
    plan.add_argument("--pre-days", metavar="N", type=_count, default=14, help="days before it that CUPED learns from (default: 14)")
    plan.add_argument("--until", metavar="DAY", help="the day after the last to look at (default: the log's last day, which may be cut)")
    plan.add_argument("--currency", metavar="CODE", help="of revenue and margin, such as EUR")
    report = action(
        "report",
        "compare the arms of experiments from the service's exposure log: metrics, checks, and what to do today",
        "exit codes: 0 ship, 10 go on, 11 stop; 1 failure, 2 bad input (options, files or log)",
    )
    report.add_argument("files", metavar="EXP.yaml", nargs="+", help="an experiment's file")
    report.add_argument(
        "--out",
        metavar="DIR",
        default="experiments",
        help="folder of the reports: DIR/NAME has an experiment's page and JSON, DIR/index.html lists all (default: experiments)",
    )
    interleaving = action(
        "interleaving",
        "say which of two interleaved rankers shoppers prefer, from the service's exposure log",
        "exit codes: 0 success, 1 failure, 2 bad input (options, dataset file or log)",
    )
    switchback = action(
        "switchback",
        "say what a switchback experiment shows, from the service's exposure log: its effect, and what it leaves over in the next slot",
        "exit codes: 0 success, 1 failure, 2 bad input (options, dataset file or log)",
    )
    for each in (interleaving, switchback):
        each.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
        each.add_argument("experiment", metavar="NAME", help="the experiment's name in the service's experiments file")
        each.add_argument("--log", metavar="DIR", required=True, help="the ranking service's exposure log")
        each.add_argument(
            "--action",
            metavar="NAME",
            action="append",
            dest="clicks",
            help="what counts as a click, repeatable (default: what the model learns from)",
        )
    switchback.add_argument("--slot", metavar="TIME", required=True, help="its `switchback` in the experiments file, such as 30m")
    switchback.add_argument("--control", metavar="ARM", required=True, help="name of an arm")
    switchback.add_argument("--treatment", metavar="ARM", required=True, help="name of the other arm")


def _audit(audit: argparse.ArgumentParser) -> None:
    audit.epilog = (
        "exit codes: 0 found, and the scores are those that the release computes (or no model gave any); 1 failure, 2 bad input;"
        f" {EXIT_DIFFERENT} the scores aren't those of the release, {EXIT_NOT_LOGGED} the features weren't logged,"
        f" {EXIT_RELEASE_GONE} the release is gone, {EXIT_NOT_FOUND} no such decision is in the log. Of several requests the worst"
    )
    audit.add_argument("requests", metavar="REQUEST_ID", nargs="+", help="as the answer to `rank` gave it; several share the start-up")
    audit.add_argument(
        "--log",
        metavar="DIR",
        action="append",
        help="a service's exposure log, or a folder of such logs; may be given again (default: ROOT/serving/exposures)",
    )
    audit.add_argument(
        "--store", metavar="ADDRESS", help="the store of releases: a run's folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX (default: ROOT)"
    )
    audit.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
    audit.add_argument("--dataset", metavar="DATASET.yaml", help="the dataset file (default: that of the release)")
    audit.add_argument(
        "--examples",
        metavar="DIR",
        help="of an ingestion of this log, a folder with folders Split-NAME: the features of a request that was logged without are taken"
        " from there",
    )
    audit.add_argument("--index", metavar="DIR", help="folder of the log's indexes, where the log can't be written to (default: LOG/audit)")
    audit.add_argument("--no-scores", dest="rescored", action="store_false", help="don't compute the scores again, which loads TensorFlow")
    audit.add_argument("--why", action="store_true", help="also say in words what raised and lowered each score, which takes seconds more")
    audit.add_argument("--html", metavar="FILE", help="write it as one HTML page too")


def _compile(compile_: argparse.ArgumentParser) -> None:
    compile_.add_argument("dataset", metavar="DATASET.yaml", help="the dataset file")
    compile_.add_argument("-o", "--out", metavar="FILE", help="file to write (default: pipeline.yaml; with --vertex pipeline.json)")
    compile_.add_argument("--cluster", metavar="FILE", help="cluster file: images, resources, volumes and so on (see examples/cluster/)")
    compile_.add_argument("--image", metavar="IMAGE", help="container image of the steps (default: as the cluster file says)")
    compile_.add_argument(
        "--trainer-image", metavar="IMAGE", help="that of Trainer and Tuner, with CUDA (default: as the cluster file says)"
    )
    compile_.add_argument("--gpu", metavar="N", nargs="?", type=_count, const=1, help="GPUs for Trainer and for Tuner (N default: 1)")
    compile_.add_argument("--vertex", action="store_true", help="write a job for Vertex AI Pipelines instead")


def _submit(submit: argparse.ArgumentParser) -> None:
    what = submit.add_mutually_exclusive_group(required=True)
    what.add_argument("pipeline", metavar="PIPELINE.yaml", nargs="?", help="what `shelfrank compile` wrote")
    what.add_argument("--follow", metavar="RUN_ID", help="follow a run that is there already")
    what.add_argument("--terminate", metavar="RUN_ID", help="end a run")
    _kubeflow(submit)
    submit.add_argument("--run-name", metavar="NAME", help="of the run (default: the pipeline's and the time)")
    submit.add_argument("--no-follow", action="store_true", help="start the run and leave it")
    submit.add_argument("--poll", metavar="SECONDS", type=_seconds, default=5.0, help="between two looks at it (default: 5)")
    submit.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="give up following after so long; the run goes on (default: never)"
    )


def _schedule(schedule: argparse.ArgumentParser) -> None:
    schedule.add_argument("pipeline", metavar="PIPELINE.yaml", nargs="?", help="what `shelfrank compile` wrote")
    what = schedule.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--cron",
        metavar="FIELDS",
        help="when: second, minute, hour, day of the month, month, day of the week, in quotes; five fields are crontab's",
    )
    what.add_argument("--list", action="store_true", help="show what is scheduled")
    what.add_argument("--remove", metavar="NAME", help="end the schedule of that name")
    _kubeflow(schedule)
    schedule.add_argument("--name", metavar="NAME", help="of the schedule; it replaces the one that has it (default: the pipeline's)")
    schedule.add_argument(
        "--time-zone",
        metavar="ZONE",
        default="UTC",
        help="that the cluster's schedules are in, its CRON_SCHEDULE_TIMEZONE; this doesn't set it (default: UTC)",
    )


def _kubeflow(command: argparse.ArgumentParser, *, needed: bool = True) -> None:
    host = os.environ.get("KF_PIPELINES_ENDPOINT")
    server = command.add_argument_group("where")
    server.add_argument(
        "--host",
        metavar="URL",
        default=host,
        required=needed and not host,
        help="Kubeflow Pipelines' UI or API (default: KF_PIPELINES_ENDPOINT)",
    )
    server.add_argument("--token-file", metavar="FILE", help="holds a bearer token (default: the token in KF_PIPELINES_TOKEN, if any)")
    server.add_argument("--namespace", metavar="NAME", help="yours, where Kubeflow has one for each user")
    server.add_argument("--tls", metavar="FILE", help="certificates to trust (default: those that Python trusts)")
    server.add_argument("--answer-within", metavar="SECONDS", type=_seconds, default=30.0, help="how long an answer may take (default: 30)")
    command.add_argument("--experiment", metavar="NAME", help="to run in, made if there is none (default: named like the pipeline)")
    command.add_argument(
        "--parameter", metavar="NAME=VALUE", action="append", default=[], help="a parameter of the pipeline; may be given again"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, a number above 0, got {text!r}")
    return seconds


def _simulate(simulate: argparse.ArgumentParser) -> None:
    simulate.add_argument("--out", metavar="DIR", required=True, help="folder to write, new or empty")
    # An option that isn't set is left out of `args`: the defaults are `ShopConfig`'s.
    shop = simulate.add_argument_group("the shop", argument_default=argparse.SUPPRESS)
    shop.add_argument("--events", type=int, metavar="N", help="number of event rows, about")
    shop.add_argument("--seed", type=int, metavar="S", help="the same seed and options give the same bytes")
    shop.add_argument("--days", type=int, metavar="N", help="length of the log")
    shop.add_argument("--start", metavar="DATE", help="first day of the log")
    shop.add_argument("--shoppers", type=int, metavar="N", help="by the last day")
    shop.add_argument("--products", type=int, metavar="N", help="by the last day")
    shop.add_argument("--product-days", type=int, metavar="N", help="after which a product leaves the shop (default: none leaves)")
    shop.add_argument("--candidates", type=int, nargs=2, metavar=("LEAST", "GREATEST"), help="number of products shown for one request")
    shop.add_argument("--order-noise", type=float, metavar="X", help="noise in the shop's order; 0: by popularity alone")
    shop.add_argument("--examination-decay", type=float, metavar="X", help="place i, from 0, is looked at with chance 1 / (1 + X i)")
    plants = simulate.add_argument_group("what is planted", argument_default=argparse.SUPPRESS)
    plants.add_argument("--drift-at", metavar="DATE", help="day from which tastes are others")
    plants.add_argument("--drift-degrees", type=float, metavar="X", help="by how much they turn")
    plants.add_argument("--broken-feature", metavar="COLUMN", help="logged column that turns constant: price, device, country or query")
    plants.add_argument("--broken-from", metavar="DATE", help="day from which it does")
    plants.add_argument("--treatment", type=float, metavar="SHARE", help="share of the shoppers who are treated")
    plants.add_argument("--treatment-effect", type=float, metavar="X", help="what treatment adds to the log-odds of a click")


def _guard(guard: argparse.ArgumentParser) -> None:
    guard.epilog = (
        f"exit codes: with --once 0 where nothing is decided yet or nothing is on trial, {EXIT_PROMOTED} promoted,"
        f" {EXIT_ROLLED_BACK} rolled back; 0 when it is ended; 1 failure (a decision isn't forgotten for it), 2 bad input"
    )
    guard.add_argument("--root", metavar="DIR", help="folder of the run (default: the one under runs/ that finished last)")
    guard.add_argument("--dataset", metavar="FILE", help="dataset file (default: that of the run)")
    guard.add_argument("--releases", metavar="DIR", help="folder of the releases (default: ROOT/releases)")
    guard.add_argument(
        "--log",
        metavar="DIR",
        action="append",
        help="a service's exposure log, or a folder of such logs, which may come and go; may be given again"
        " (default: ROOT/serving/exposures)",
    )
    guard.add_argument(
        "--event-log",
        metavar="DIR",
        action="append",
        help="event log of `shelfrank stream`, with the clicks of services that write to a stream (--events-to); may be given again",
    )
    guard.add_argument(
        "--model-server", metavar="HOST:PORT", help="gRPC of the model server to move labels on (default: only in the releases' files)"
    )
    guard.add_argument("--timeout", metavar="SECONDS", type=float, default=60.0, help="how long it may take (default: 60)")
    guard.add_argument(
        "--action", metavar="NAME", action="append", help="that counts as a click; may be given again (default: those with a label)"
    )
    guard.add_argument("--dry-run", action="store_true", help="tell what would be done, from the trial's beginning on; change nothing")
    guard.add_argument("--once", action="store_true", help="look at what there is, act if it decides, and end")
    guard.add_argument("--every", metavar="SECONDS", type=float, default=10.0, help="between two looks (default: 10)")
    guard.add_argument("--metrics-port", metavar="N", type=int, help="for Prometheus (default: none)")
    guard.add_argument("--metrics-host", metavar="HOST", default="127.0.0.1", help="to listen on (default: 127.0.0.1)")
    duty = guard.add_argument_group("what is counted", argument_default=argparse.SUPPRESS)
    duty.add_argument(
        "--click-s", metavar="S", type=float, help="how long a click counts for its request (default: the dataset's attribution)"
    )
    duty.add_argument("--late-s", metavar="S", type=float, help="how late clicks come into the log (default: 60)")
    duty.add_argument("--slow-ms", metavar="MS", type=float, help="the model is slow above it (default: 50)")
    duty.add_argument("--block", metavar="N", type=int, help="requests between two looks at the evidence (default: 200)")
    limits = guard.add_argument_group("when it decides", argument_default=argparse.SUPPRESS)
    limits.add_argument("--alpha", metavar="X", type=float, help="chance of a false alarm, and of a false promotion (default: 0.05)")
    limits.add_argument("--click-loss", metavar="X", type=float, help="smaller click rate that is let pass, a share (default: 0.05)")
    limits.add_argument("--error-rise", metavar="X", type=float, help="greater error rate that is let pass (default: 0.005)")
    limits.add_argument("--slow-rise", metavar="X", type=float, help="greater share of slow answers that is let pass (default: 0.02)")
    limits.add_argument("--score-shift", metavar="X", type=float, help="a greater PSI of the scores rolls back (default: 0.25)")
    limits.add_argument("--min-requests", metavar="N", type=int, help="of each, before a promotion (default: 1000)")
