"""Run the commands, each importing its own dependencies: TFX and TensorFlow take seconds to import."""

import logging
import signal
import sys
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.contract.errors import InputError, RefusedModel, RunError
from pipeline.terminal.console import console, print_json
from pipeline.terminal.exit_code import EXIT_PROMOTED, EXIT_ROLLED_BACK

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from components.contract.dataset import Dataset
    from components.contract.storage.object_store import Address
    from pipeline.config import RunConfig
    from pipeline.ops.guard import GuardConfig

_SHOP = "simulated_shop.yaml"


def simulate(args: Namespace) -> None:
    """Write a simulated shop's logs: `shelfrank simulate`."""
    from rich.console import Console
    from rich.progress import Progress

    from components import simulator

    options = _options(args, simulator.ShopConfig)
    options |= {name: _day(name, options[name]) for name in ("start", "drift_at", "broken_from") if name in options}
    if "candidates" in options:
        options["candidates"] = tuple(options["candidates"])
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("simulating", total=1.0)
            shop = simulator.simulate(
                Path(args.out),
                simulator.ShopConfig(**options),
                progress=lambda share, day: progress.update(task, completed=share, description=day),
            )
    except (simulator.ShopConfigError, simulator.ShopFolderError) as error:
        raise InputError(str(error)) from None
    if args.json:
        print_json(asdict(shop) | {"out": str(shop.out)})
        return
    for name, value in asdict(shop).items():
        print(f"{name:12} {value}")


def validate(args: Namespace) -> None:
    """Check a dataset file against its data: `shelfrank validate`."""
    from components.contract.load import load_dataset
    from components.validate.check import as_json, failed, render
    from components.validate.validate_data import validate as validate_data
    from trainer.tuning.search_space import check_settings

    dataset = load_dataset(args.dataset)
    check_settings(dataset)
    checks = validate_data(dataset, _data_root(args.data, Path(args.dataset).parent), now_us=time.time_ns() // 1000)
    if args.json:
        print_json(as_json(checks))
    else:
        console().print(render(checks))
    if failed(checks):
        names = ", ".join(check.name for check in checks if check.verdict == "FAIL")
        raise InputError(f"{args.dataset} doesn't fit its data: {names}")


def init(args: Namespace) -> None:
    """Draft a dataset file: `shelfrank init`."""
    from pipeline.cli.init import init_dataset

    init_dataset(args)


def run(args: Namespace) -> None:
    """Run the pipeline on this machine: `shelfrank run`."""
    from components.contract.load import load_dataset
    from pipeline.config import RunConfig
    from pipeline.local.run_record import run_lock
    from pipeline.results.render_result import print_result
    from pipeline.terminal.display import display
    from pipeline.terminal.output_capture import captured_output

    file = Path(args.dataset or default_shop())
    dataset = load_dataset(file)
    root = Path(args.root or Path("runs", dataset.name)).absolute()
    data = _data_root(args.data, file.parent if args.dataset else root / "data")
    config = RunConfig(
        dataset.name,
        file.read_text(encoding="utf-8"),
        data,
        root,
        data_until=args.data_until,
        training_start=args.start,
        run_id=args.run_id,
    )
    log = config.logs / f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
    with run_lock(root), captured_output(log) as terminal, display(terminal) as progress:
        if not args.dataset and not args.data and not Path(data).exists():
            progress.begin("Simulate")
            _simulate_default(Path(data))
            progress.end("done")
        progress.begin("Load TFX")
        from pipeline.local.run import run as run_graph

        progress.end("done")
        result = run_graph(config, log=log, progress=progress)
        removed = _remove_old_runs(config, args.keep_runs) if args.keep_runs else ""
    if removed:
        print(removed, file=sys.stderr)
    if args.json:
        print_json(result.shown())
    else:
        print_result(result, console())
    if result.release is None:
        refusals = [finding.text for finding in result.verdict.findings if not finding.passed]
        raise RefusedModel(f"the model was refused, nothing was released: {' '.join(refusals)}")


def _remove_old_runs(config: "RunConfig", keep: int) -> str:
    from pipeline.local.old_runs import remove_old_runs
    from pipeline.results.metadata import connection

    removed = remove_old_runs(connection(config.metadata), config.artifacts, config.logs, keep=keep)
    return removed.sentence if removed.artifacts or removed.logs else ""


def refresh(args: Namespace) -> None:
    """Train the release in force on the newest requests: `shelfrank refresh`."""
    from components.contract.load import load_dataset
    from pipeline.cli.retrain import length_s
    from pipeline.config import RunConfig
    from pipeline.local.run_record import run_lock
    from pipeline.terminal.display import display
    from pipeline.terminal.output_capture import captured_output

    file = Path(args.dataset)
    dataset = load_dataset(file)
    root = Path(args.root or Path("runs", dataset.name)).absolute()
    config = RunConfig(dataset.name, file.read_text(encoding="utf-8"), _data_root(args.data, file.parent), root, data_until=args.data_until)
    log = config.logs / f"refresh-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
    with run_lock(root), captured_output(log) as terminal, display(terminal) as progress:
        progress.begin("Load TFX")
        from pipeline.local.refresh import refresh as refresh_release

        progress.end("done")
        result = refresh_release(config, window_s=length_s("--window", args.window), log=log, progress=progress)
    if args.json:
        print_json(asdict(result) | {"delta": str(result.delta)})
    else:
        console().print(
            f"Release {result.release}: the weights of release {result.base} trained on {result.new_requests:,} newer requests. "
            f"{result.sentence[0].upper()}{result.sentence[1:]}. {result.rows:,} embedding rows changed; the delta has "
            f"{result.delta_bytes / 1e6:.1f} MB: {result.delta}"
        )


def report(args: Namespace) -> None:
    """Print the last finished run again: `shelfrank report`."""
    from pipeline.results.atomic_write import write_atomically
    from pipeline.results.render_result import print_result, render_page
    from pipeline.results.result import read_result

    result = read_result(_last_result(args.root))
    if args.html:
        write_atomically(Path(args.html), render_page(result))
    if args.json:
        print_json(result.shown())
    elif not args.html:
        print_result(result, console())


def releases(args: Namespace) -> None:
    """List, label or prune the releases of a run: `shelfrank releases list`, `promote`, `rollback` and `prune`."""
    folder = _releases(args)
    match args.action:
        case "list":
            _list_releases(folder, args)
        case "prune":
            _prune_releases(folder, args)
        case _:
            _move_label(folder, args)


def _list_releases(folder: "Path | Address", args: Namespace) -> None:
    from pipeline.ops.releases import release_rows, release_table

    rows = release_rows(folder)
    if args.json:
        print_json(rows)
    elif rows:
        console().print(release_table(rows))
    else:
        print(f"{folder}: no release yet; a `shelfrank run` makes one")


def _prune_releases(folder: "Path | Address", args: Namespace) -> None:
    from components.release.retention import Limits
    from pipeline.ops.releases import Deployment, prune

    removed = prune(Deployment(folder), Limits(args.keep, args.days, args.bytes), now_us=time.time_ns() // 1000)
    if args.json:
        print_json({"removed": removed})
    else:
        print(f"{folder}: removed {', '.join(map(str, removed)) or 'none'}")


def _move_label(folder: "Path | Address", args: Namespace) -> None:
    from pipeline.ops.releases import Deployment, promote, rollback

    deployment = Deployment(folder, args.server, args.model, args.base_path, args.timeout)
    after = promote(deployment, args.version, args.label) if args.action == "promote" else rollback(deployment, args.label)
    if args.json:
        print_json({"label": args.label, "version": after.now[args.label], "labels": after.now, "served": list(after.served)})
    else:
        where = f"and on {args.server}" if args.server else "(no server was told)"
        print(f"{args.label} is release {after.now[args.label]}, in {folder / 'model_config.txt'} {where}")


def guard(args: Namespace) -> int:
    """Watch the canary, and promote it or roll it back; returns the exit code: `shelfrank guard`."""
    from pipeline.ops.guard import look_once, watch

    config = _guard_config(args)

    def say(sentence: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}", flush=True)

    if args.once:
        return {"promote": EXIT_PROMOTED, "roll back": EXIT_ROLLED_BACK}.get(look_once(config, say) or "", 0)

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        watch(config, say, every_s=args.every, metrics=(args.metrics_host, args.metrics_port) if args.metrics_port is not None else None)
    except KeyboardInterrupt:
        say("ended; the next guard goes on from here")
    return 0


def _guard_config(args: Namespace) -> "GuardConfig":
    from pipeline.ops.guard import GuardConfig
    from pipeline.ops.releases import Deployment
    from serving.guard.monitor import MonitorSettings
    from serving.guard.sequential_test import Limits

    dataset = _guarded_dataset(args)
    # A run's folder is looked for only where an option doesn't name what would be taken from it.
    deployment = Deployment(_releases(args), args.model_server, patience_s=args.timeout)
    logs = [Path(log) for log in args.log] if args.log else [_last_result(args.root).parent / "serving" / "exposures"]
    limits = Limits(**_options(args, Limits))
    attribution = {"click_s": dataset.attribution} if dataset.attribution else {}
    event_logs = [Path(log) for log in args.event_log or ()]
    counted = attribution | _options(args, MonitorSettings) | {"gap_s": dataset.session_gap}
    duty = MonitorSettings(logs=logs, event_logs=event_logs, limits=limits, **counted)
    return GuardConfig(deployment=deployment, duty=duty, dataset=dataset, actions=tuple(args.action or ()), dry_run=args.dry_run)


def _guarded_dataset(args: Namespace) -> "Dataset":
    from components.contract.load import load_dataset, parse_dataset

    if args.dataset:
        return load_dataset(args.dataset)
    from pipeline.results.result import read_result

    return parse_dataset(read_result(_last_result(args.root)).dataset)


def serve(args: Namespace) -> None:
    """Serve the newest releases of a run on this machine: `shelfrank serve`."""
    import webbrowser

    from components.contract.storage.file_lock import shared_lock
    from pipeline.ops.child_servers import interrupt_on_signals, wait_until_one_ends
    from pipeline.ops.serve import HOST, Ports, curl_examples, serve_run
    from pipeline.results.result import read_result

    file = _last_result(args.root)
    result, ports = read_result(file), Ports(args.port, args.grpc_port, args.rest_port)
    try:
        with (
            interrupt_on_signals(),
            shared_lock(file.parent / "releases"),
            serve_run(result, file.parent.absolute(), ports, kept=args.versions, out=sys.stderr) as servers,
        ):
            page = f"http://{HOST}:{ports.service}/page/"
            print(f"page to try it   {page}")
            print(f"ranking service  http://{HOST}:{ports.service}  (documentation at /docs)")
            print(f"model server     gRPC {HOST}:{ports.grpc}, REST http://{HOST}:{ports.rest}; for development, not for production")
            print("\ntry:\n\n" + "\n\n".join(curl_examples(result, ports)) + "\n\nCtrl-C ends both.", flush=True)
            if args.open:
                webbrowser.open(page)
            wait_until_one_ends(servers)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be the reason
            print("ended", file=sys.stderr)


def stream(args: Namespace) -> None:
    """Read events as they happen: `shelfrank stream`."""
    from pipeline.cli.stream import read_stream

    read_stream(args)


def retrain(args: Namespace) -> int:
    """Retrain again and again; returns the exit code: `shelfrank retrain`."""
    from pipeline.cli.retrain import retrain as retrain_by_options

    return retrain_by_options(args)


def history(args: Namespace) -> None:
    """Show what became of retraining: `shelfrank history`."""
    from pipeline.cli.retrain import history as show_history

    show_history(args)


def drift(args: Namespace) -> int:
    """Compare what is served with what a release was made from; returns the exit code: `shelfrank drift`."""
    from pipeline.cli.drift import drift as compare

    return compare(args, _releases(args))


def experiment(args: Namespace) -> int:
    """Plan experiments, or report on them; returns the exit code: `shelfrank experiment`."""
    from pipeline.cli import experiment as split
    from pipeline.cli import experiment_designs as designs

    return int(getattr(split if args.action in ("plan", "report") else designs, args.action)(args))


def roi(args: Namespace) -> None:
    """Show what all experiments returned: `shelfrank roi`."""
    from pipeline.cli.roi import roi as show_return

    show_return(args)


def audit(args: Namespace) -> int:
    """Trace logged decisions, and compute their scores again; returns the exit code: `shelfrank audit`."""
    from pipeline.cli.audit import audit_requests

    needs_root = not (args.log and args.store)
    return audit_requests(args, _last_result(args.root).parent if needs_root else Path())


def compile(args: Namespace) -> None:  # named as the command is
    """Compile the pipeline for Kubeflow Pipelines or Vertex AI: `shelfrank compile`."""
    from pipeline.kubeflow.compile.command import compile_command

    compile_command(args)


def submit(args: Namespace) -> int:
    """Run a compiled pipeline on Kubeflow; returns the exit code: `shelfrank submit`."""
    from pipeline.kubeflow.submit.submit import submit as submit_pipeline

    return submit_pipeline(args)


def schedule(args: Namespace) -> None:
    """Schedule a compiled pipeline on Kubeflow: `shelfrank schedule`."""
    from pipeline.kubeflow.submit.schedule import schedule as schedule_pipeline

    schedule_pipeline(args)


def schema(args: Namespace) -> None:
    """Print the JSON Schema of the dataset file or of the cluster file: `shelfrank schema`."""
    from components.contract import json_schema
    from pipeline.kubeflow.compile import cluster

    print_json((cluster if args.cluster else json_schema).json_schema())


def default_shop() -> Path:
    """Return the dataset file of the simulated shop: beside this module in a wheel, under `examples/` in a clone."""
    installed = Path(__file__).with_name(_SHOP)
    return installed if installed.exists() else Path(__file__).parents[2] / "examples" / _SHOP


def _simulate_default(out: Path) -> None:
    from components.simulator import ShopConfig
    from components.simulator import simulate as simulate_shop
    from pipeline.terminal.display import PROGRESS

    log = logging.getLogger(PROGRESS)
    simulate_shop(out, ShopConfig(), progress=lambda share, day: log.info("%3.0f %%  %s", 100 * share, day))


def _options(args: Namespace, kind: type["DataclassInstance"]) -> dict[str, Any]:
    """Return the options in `args` that are fields of a dataclass; options that aren't set are absent from `args`."""
    return {field.name: getattr(args, field.name) for field in fields(kind) if hasattr(args, field.name)}


def _data_root(option: str | None, default: Path) -> str:
    """Return an absolute path, or the address of another file system as it is."""
    return option if option and "://" in option else str(Path(option or default).absolute())


def _releases(args: Namespace) -> "Path | Address":
    """Return the releases' folder, or their address in a bucket."""
    if args.releases and "://" in args.releases:
        from components.contract.storage.object_store import Address

        return Address.parse(args.releases)
    return Path(args.releases) if args.releases else _last_result(args.root).parent / "releases"


def _last_result(root: str | None) -> Path:
    """Return the result file of a folder, or of the run under `runs/` that finished last."""
    name = "last_run.json"
    if root:
        return Path(root) / name
    results = sorted(Path("runs").glob(f"*/{name}"), key=lambda file: file.stat().st_mtime)
    if not results:
        raise RunError("runs/: no run has come to its end here; start one with `shelfrank run`, or give --root")
    return results[-1]


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--{option.replace('_', '-')}: expected a day such as 2026-01-31, got {text!r}") from None
