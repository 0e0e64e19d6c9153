"""What each command of the command line does. Each imports what it needs: TFX and TensorFlow take seconds."""

import logging
import sys
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from components.contract.errors import InputError, RefusedModel, RunError
from pipeline.terminal.console import console, print_json

_SHOP = "simulated_shop.yaml"
EXIT_PROMOTED, EXIT_ROLLED_BACK = 10, 11  # of `guard --once`


def simulate(args: Namespace) -> None:
    """`shelfrank simulate`."""
    from rich.console import Console
    from rich.progress import Progress

    from components import simulator

    given = {field.name: getattr(args, field.name) for field in fields(simulator.ShopConfig) if hasattr(args, field.name)}
    given |= {name: _day(name, given[name]) for name in ("start", "drift_at", "broken_from") if name in given}
    if "candidates" in given:
        given["candidates"] = tuple(given["candidates"])
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("simulating", total=1.0)
            shop = simulator.simulate(
                Path(args.out),
                simulator.ShopConfig(**given),
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
    """`shelfrank validate`."""
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
    """`shelfrank init`."""
    from pipeline.cli.init import init_dataset

    init_dataset(args)


def run(args: Namespace) -> None:
    """`shelfrank run`."""
    from components.contract.load import load_dataset
    from pipeline.config import RunConfig
    from pipeline.local.run_record import alone
    from pipeline.results.render_result import show
    from pipeline.terminal.display import display
    from pipeline.terminal.output_capture import quiet

    file = Path(args.dataset or default_shop())
    dataset = load_dataset(file)
    root = Path(args.root or Path("runs", dataset.name)).absolute()
    data = _data_root(args.data, file.parent if args.dataset else root / "data")
    config = RunConfig(dataset.name, file.read_text(encoding="utf-8"), data, root)
    log = config.logs / f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
    with alone(root), quiet(log) as terminal, display(terminal) as shown:
        if not args.dataset and not args.data and not Path(data).exists():
            shown.begin("Simulate")
            _simulate_default(Path(data))
            shown.end("done")
        shown.begin("Load TFX")
        from pipeline.local.run import run as run_graph

        shown.end("done")
        result = run_graph(config, log=log, shown=shown)
    if args.json:
        print_json(result.shown())
    else:
        show(result, console())
    if result.release is None:
        refusals = [finding.text for finding in result.verdict.findings if not finding.passed]
        raise RefusedModel(f"the model was refused, nothing was released: {' '.join(refusals)}")


def report(args: Namespace) -> None:
    """`shelfrank report`."""
    from pipeline.local.run_record import write
    from pipeline.results.render_result import page, show
    from pipeline.results.result import read_result

    result = read_result(_last(args.root))
    if args.html:
        write(Path(args.html), page(result))
    if args.json:
        print_json(result.shown())
    elif not args.html:
        show(result, console())


def releases(args: Namespace) -> None:
    """`shelfrank releases list`, `promote`, `rollback` and `prune`."""
    from components.release.retention import Limits
    from pipeline.ops.releases import Place, listed, promote, prune, rollback, table

    folder = _releases_of(args)
    if args.action == "list":
        rows = listed(folder)
        if args.json:
            print_json(rows)
        elif rows:
            console().print(table(rows))
        else:
            print(f"{folder}: no release yet; a `shelfrank run` makes one")
        return
    if args.action == "prune":
        gone = prune(Place(folder), Limits(args.keep, args.days, args.bytes), now_us=time.time_ns() // 1000)
        if args.json:
            print_json({"removed": gone})
        else:
            print(f"{folder}: removed {', '.join(map(str, gone)) or 'none'}")
        return
    place = Place(folder, args.server, args.model, args.base_path, args.timeout)
    after = promote(place, args.version, args.label) if args.action == "promote" else rollback(place, args.label)
    where = f"and on {args.server}" if args.server else "(no server was told)"
    if args.json:
        print_json({"label": args.label, "version": after.now[args.label], "labels": after.now, "served": list(after.served)})
    else:
        print(f"{args.label} is release {after.now[args.label]}, in {folder / 'model_config.txt'} {where}")


def guard(args: Namespace) -> int:
    """`shelfrank guard`."""
    import signal

    from pipeline.ops.guard import look_once, watch

    post = _post(args)

    def say(sentence: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}", flush=True)

    if args.once:
        return {"promote": EXIT_PROMOTED, "roll back": EXIT_ROLLED_BACK}.get(look_once(post, say) or "", 0)

    def ended(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)
    try:
        watch(post, say, every_s=args.every, metrics=(args.metrics_host, args.metrics_port) if args.metrics_port is not None else None)
    except KeyboardInterrupt:
        say("ended; the next guard goes on from here")
    return 0


def _post(args: Namespace) -> Any:
    from components.contract.load import load_dataset, parse_dataset
    from pipeline.ops.guard import Post
    from pipeline.ops.releases import Place
    from serving.guard.monitor import Duty
    from serving.guard.sequential_test import Limits

    if args.dataset:
        dataset = load_dataset(args.dataset)
    else:
        from pipeline.results.result import read_result

        dataset = parse_dataset(read_result(_last(args.root)).dataset)
    # Asked for only where it is wanted: all three may be told.
    releases = _releases_of(args)
    logs = [Path(log) for log in args.log] if args.log else [_last(args.root).parent / "serving" / "exposures"]
    told = {field.name: getattr(args, field.name) for kind in (Duty, Limits) for field in fields(kind) if hasattr(args, field.name)}
    limits = Limits(**{field.name: told.pop(field.name) for field in fields(Limits) if field.name in told})
    if dataset.attribution:
        told.setdefault("click_s", dataset.attribution)
    told["gap_s"] = dataset.session_gap
    return Post(
        place=Place(releases, args.model_server, patience_s=args.timeout),
        duty=Duty(logs=logs, limits=limits, **told),
        dataset=dataset,
        actions=tuple(args.action or ()),
        dry_run=args.dry_run,
    )


def serve(args: Namespace) -> None:
    """`shelfrank serve`."""
    import webbrowser

    from components.contract.storage.folder_lock import read
    from pipeline.ops.child_servers import ended_by_signals, wait
    from pipeline.ops.serve import HOST, Ports, commands, served
    from pipeline.results.result import read_result

    file = _last(args.root)
    result, ports = read_result(file), Ports(args.port, args.grpc_port, args.rest_port)
    try:
        with (
            ended_by_signals(),
            read(file.parent / "releases"),
            served(result, file.parent.absolute(), ports, kept=args.versions, out=sys.stderr) as servers,
        ):
            page = f"http://{HOST}:{ports.service}/page/"
            print(f"page to try it   {page}")
            print(f"ranking service  http://{HOST}:{ports.service}  (documentation at /docs)")
            print(f"model server     gRPC {HOST}:{ports.grpc}, REST http://{HOST}:{ports.rest}; for development, not for production")
            print("\ntry:\n\n" + "\n\n".join(commands(result, ports)) + "\n\nCtrl-C ends both.", flush=True)
            if args.open:
                webbrowser.open(page)
            wait(servers)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be the reason
            print("ended", file=sys.stderr)


def compile(args: Namespace) -> None:  # named as the command is
    """`shelfrank compile`."""
    from pipeline.kubeflow.compile.command import compile_command

    compile_command(args)


def submit(args: Namespace) -> int:
    """`shelfrank submit`."""
    from pipeline.kubeflow.submit.submit import submit as submit_there

    return submit_there(args)


def schedule(args: Namespace) -> int:
    """`shelfrank schedule`."""
    from pipeline.kubeflow.submit.schedule import schedule as schedule_there

    return schedule_there(args)


def schema(args: Namespace) -> None:
    """`shelfrank schema`."""
    from components.contract import json_schema
    from pipeline.kubeflow.compile import cluster

    print_json((cluster if args.cluster else json_schema).json_schema())


def default_shop() -> Path:
    """The dataset file of the simulated shop: beside this module in a wheel, under `examples/` in a clone."""
    installed = Path(__file__).with_name(_SHOP)
    return installed if installed.exists() else Path(__file__).parents[2] / "examples" / _SHOP


def _simulate_default(out: Path) -> None:
    from components.simulator import ShopConfig
    from components.simulator import simulate as simulate_shop
    from pipeline.terminal.display import PROGRESS

    log = logging.getLogger(PROGRESS)
    simulate_shop(out, ShopConfig(), progress=lambda share, day: log.info("%3.0f %%  %s", 100 * share, day))


def _data_root(given: str | None, default: Path) -> str:
    """An absolute path, or an address of another file system as it is."""
    return given if given and "://" in given else str(Path(given or default).absolute())


def _releases_of(args: Namespace) -> Any:
    """Their folder, or their address in a bucket."""
    if args.releases and "://" in args.releases:
        from components.contract.storage.object_store import Address

        return Address.parse(args.releases)
    return Path(args.releases) if args.releases else _last(args.root).parent / "releases"


def _last(root: str | None) -> Path:
    """The result file of a folder, or of the run under `runs/` that finished last."""
    name = "last_run.json"
    if root:
        return Path(root) / name
    found = sorted(Path("runs").glob(f"*/{name}"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise RunError("runs/: no run has come to its end here; start one with `shelfrank run`, or give --root")
    return found[-1]


def _day(name: str, given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise InputError(f"--{name.replace('_', '-')}: expected a day such as 2026-01-31, got {given!r}") from None
