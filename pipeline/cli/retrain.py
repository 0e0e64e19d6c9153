"""Retrain again and again, and show what became of it: `shelfrank retrain` and `shelfrank history`."""

import getpass
import os
import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from components.contract.base_model import seconds
from components.contract.dataset import Dataset
from components.contract.errors import InputError, RefusedModel, RunError
from components.contract.load import load_dataset
from components.contract.storage.object_store import Address
from components.contract.values.cron import parse_cron
from components.contract.values.data_cutoff import zone_of
from components.drift.decision import Action
from components.release.outcomes import recorded_runs
from pipeline.ops.child_servers import interrupt_on_signals
from pipeline.ops.releases import Deployment
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.history import history_rows, history_table, run_rows, runs_table
from pipeline.retrain.ledger import FILE, FOLDER, History, Ledger
from pipeline.retrain.metrics import RetrainCollector
from pipeline.retrain.retrainer import RetrainConfig, Retrainer, frozen_text, lift
from pipeline.retrain.schedule import ByCron, Every
from pipeline.retrain.threshold import parse_threshold
from pipeline.retrain.training import LocalTrainer, Trainer
from pipeline.retrain.triggers import DriftTrigger, FollowUpTrigger, HandTrigger, MetricTrigger, ScheduleTrigger, Trigger
from pipeline.terminal.console import console, print_json
from pipeline.terminal.exit_code import EXIT_FROZEN, EXIT_ROLLED_BACK

if TYPE_CHECKING:
    from pipeline.kubeflow.compile.package import Package


def retrain(args: Namespace) -> int:
    """Retrain by what the options name; returns the exit code.

    Raises:
        InputError: an option, the dataset file or a trigger's source can't be used.
        RefusedModel: the gates or the rehearsal refused the model.
        RunError: the training failed, or another process retrains.
    """
    dataset = load_dataset(args.dataset)
    if args.root and "://" in args.root:
        raise InputError(f"--root {args.root}: expected a folder, which has locks; releases may be in a bucket (--releases)")
    root = Path(args.root or Path("runs", dataset.name)).absolute()
    package = _package(args)
    config = _config(args, dataset, root, package)
    if args.lift is not None:
        lifted = lift(config, f"{_who()}: {args.lift}")
        print(f"lifted: cycle {lifted.number}; retraining goes on", file=sys.stderr)
        return 0
    out = sys.stderr if args.json else sys.stdout

    def say(sentence: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}", file=out, flush=True)

    retrainer = Retrainer(config, _trainer(args, root, dataset, package), _triggers(args, dataset), say)
    with interrupt_on_signals():
        if args.now or args.once:
            if not args.now:
                retrainer.start()
            cycle = retrainer.look()
            if args.now and cycle and cycle.outcome not in (None, Outcome.FROZEN) and "hand" not in cycle.triggers:
                cycle = retrainer.look()  # the one that a kill had interrupted was finished first
            return _report(cycle, args)
        if args.metrics_port is not None:
            _serve_metrics(args, config)
        try:
            retrainer.watch(args.look)
        except KeyboardInterrupt:
            say("ended; the next start goes on from here")
        return 0


def history(args: Namespace) -> None:
    """Show the ledger of retraining, or the outcomes of Kubeflow's runs: `shelfrank history`.

    Raises:
        InputError: options exclude each other.
        RunError: there is none.
    """
    if args.store:
        if args.html or args.root:
            raise InputError("--store: expected neither --root nor --html beside it, which are of the ledger")
        runs = recorded_runs(Address.parse(args.store))
        if not runs:
            raise RunError(f"{args.store}: no run on Kubeflow has recorded an outcome here; give what it publishes to (push_destination)")
        print_json(run_rows(runs)) if args.json else console(160).print(runs_table(runs))
        return
    ledger = _ledger(args.root)
    content = ledger.history()
    if args.html:
        from pipeline.results.atomic_write import write_atomically
        from pipeline.retrain.history_page import render_history

        write_atomically(Path(args.html), render_history(content, ledger.file.parent.parent.name, datetime.now(UTC)))
    if args.json:
        print_json(history_rows(content))
    elif not args.html:
        console(160).print(history_table(content))


def _report(cycle: Cycle | None, args: Namespace) -> int:
    if args.json:
        print_json(None if cycle is None else history_rows(History(cycles=(cycle,)))[0])
    elif cycle is None:
        print("nothing asks for retraining")
    match cycle.outcome if cycle else None:
        case Outcome.REFUSED:
            assert cycle is not None
            raise RefusedModel(f"the model was refused, nothing was released: {cycle.reason}")
        case Outcome.FAILED:
            assert cycle is not None
            raise (InputError if cycle.hopeless else RunError)(cycle.reason)
        case Outcome.FROZEN:
            assert cycle is not None
            print(f"shelfrank retrain: {frozen_text(cycle)}", file=sys.stderr)
            return EXIT_FROZEN
        case Outcome.ROLLED_BACK:
            return EXIT_ROLLED_BACK
    return 0


def _config(args: Namespace, dataset: Dataset, root: Path, package: "Package | None") -> RetrainConfig:
    releases: Path | Address = root / "releases"
    if args.releases or package is not None:
        from pipeline.retrain.kubeflow import releases_of

        address = args.releases or releases_of(package, args.parameter) if package else args.releases
        releases = Address.parse(address) if "://" in address else Path(address)
    timed = all("time" in source.columns.named() for source in dataset.events)
    return RetrainConfig(
        folder=root / FOLDER,
        deployment=Deployment(releases, args.model_server, patience_s=args.timeout),
        canary=args.canary,
        patience_s=length_s("--canary-for", args.canary_for),
        data_until=args.data_until or (None if timed else ""),
    )


def _triggers(args: Namespace, dataset: Dataset) -> list[Trigger]:
    default = Action.RETRAIN_WARM if dataset.model.get("warm_start") else Action.RETRAIN_FULL
    action = {"warm": Action.RETRAIN_WARM, "full": Action.RETRAIN_FULL}.get(args.start, default)
    if args.now:
        return [HandTrigger(action, _who())]
    triggers: list[Trigger] = []
    if args.every:
        triggers.append(ScheduleTrigger(Every(length_s("--every", args.every)), action))
    if args.cron:
        triggers.append(ScheduleTrigger(ByCron(parse_cron(args.cron), zone_of(args.time_zone)), action))
    if args.drift:
        triggers += [DriftTrigger(Path(args.drift)), FollowUpTrigger()]
    if bool(args.when) != bool(args.metrics_page):
        raise InputError("--when goes with --metrics-page, the page that it reads: give both or neither")
    if args.when:
        rest_s = length_s("--rest", args.rest)
        triggers.append(MetricTrigger(args.metrics_page, parse_threshold(args.when), action, rest_s))
    if not triggers:
        raise InputError("expected what asks for retraining: --every, --cron, --drift, --when, or --now")
    return triggers


def _trainer(args: Namespace, root: Path, dataset: Dataset, package: "Package | None") -> Trainer:
    if package is None:
        data = args.data if args.data and "://" in args.data else str(Path(args.data or Path(args.dataset).parent).absolute())
        return LocalTrainer(Path(args.dataset).absolute(), data, root, keep_runs=args.keep_runs)
    from pipeline.kubeflow.submit.submit import endpoint_from
    from pipeline.retrain.kubeflow import KubeflowTrainer, releases_of

    if not args.host:
        raise InputError("--kubeflow: expected --host, or KF_PIPELINES_ENDPOINT: where Kubeflow Pipelines is")
    return KubeflowTrainer(
        endpoint=endpoint_from(args),
        package=package,
        assignments=args.parameter,
        experiment=args.experiment or package.name,
        releases=Address.parse(args.releases or releases_of(package, args.parameter)),
        poll_s=args.poll,
    )


def _package(args: Namespace) -> "Package | None":
    if not args.kubeflow:
        return None
    from pipeline.kubeflow.compile.package import read_package

    return read_package(Path(args.kubeflow))


def _who() -> str:
    """Return the user's name, or in a container without one their number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _serve_metrics(args: Namespace, config: RetrainConfig) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(RetrainCollector(Ledger(config.folder).history))
    try:
        start_http_server(args.metrics_port, args.metrics_host, registry)
    except OSError as error:
        raise InputError(f"--metrics-port: can't listen on port {args.metrics_port} of {args.metrics_host}: {error}") from None


def _ledger(root: str | None) -> Ledger:
    """Return the ledger of a folder, or the one under `runs/` that was written last."""
    files = [Path(root, FOLDER, FILE)] if root else sorted(Path("runs").glob(f"*/{FOLDER}/{FILE}"), key=lambda file: file.stat().st_mtime)
    if not files or not files[-1].exists():
        raise RunError(
            f"{root or 'runs/'}: nothing was retrained here; start it with `shelfrank retrain`, or give another --root; a recurring run on"
            " Kubeflow writes no ledger: give its store by --store"
        )
    return Ledger(files[-1].absolute().parent)


def length_s(option: str, text: str) -> float:
    """Read the duration of an option.

    Raises:
        InputError: it isn't one above 0.
    """
    try:
        length = seconds(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None
    if length <= 0:
        raise InputError(f"{option}: expected a duration above 0 such as 1d, got {text!r}")
    return length
