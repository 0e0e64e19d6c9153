"""`shelfrank schedule`: a pipeline that runs again and again, each time on the data up to then."""

import sys
from argparse import Namespace
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.contract.errors import InputError, KubeflowError
from components.contract.values.cron import Cron, parse_cron
from components.contract.values.data_cutoff import scheduled, zone_in, zone_of
from pipeline.kubeflow.compile.package import Package, read_package
from pipeline.kubeflow.submit.client import Kubeflow, Place, connect
from pipeline.kubeflow.submit.submit import place_of, told
from pipeline.kubeflow.submit.upload import Uploaded, experiment, pages, upload
from pipeline.terminal.console import print_json

UNTIL = "data_until"
_SHOWN_TIMES, _WIDTH = 3, 140


@dataclass(frozen=True)
class Row:
    """A schedule of a server.

    Attributes:
        name: several can have the same.
        id: of the recurring run.
        cron: six fields, or "" where it has another rhythm.
        enabled: whether it runs.
        upcoming: next time, ISO; "" where it can't be told.
        url: its page in the UI.
    """

    name: str
    id: str
    cron: str
    enabled: bool
    upcoming: str
    url: str


def schedule(args: Namespace) -> int:
    """Do what the command line says.

    Raises:
        InputError: the file, cron, a parameter or an option isn't what it should be.
        KubeflowError: the server refuses, or doesn't answer; the text says what runs now.
    """
    out = sys.stderr if args.json else sys.stdout
    place = place_of(args)
    if args.list:
        rows = listed(connect(place), datetime.now(UTC))
        if args.json:
            print_json([asdict(row) for row in rows])
        else:
            _show(rows)
        return 0
    if args.remove:
        gone = remove(connect(place), args.remove)
        print(f"removed {args.remove}: {len(gone)} schedule{'s' * (len(gone) != 1)}; runs that have started go on", file=out)
        return 0
    if not args.pipeline:
        raise InputError("--cron: expected a compiled pipeline before it, such as pipeline.yaml")
    package = read_package(Path(args.pipeline))
    cron, zone = parse_cron(args.cron), zone_of(args.time_zone)
    if len(args.cron.split()) == 5:
        print(f"cron      five fields are crontab's; Kubeflow has seconds first: {cron.text}", file=out)
    parameters = with_window(package, args.parameter, cron, args.time_zone)
    client = connect(place)
    uploaded = upload(client, package)
    print(f"pipeline  {told(package, uploaded, place)}", file=out)
    name = args.name or package.name
    if package.pipeline_root:
        print(f"artifacts {package.pipeline_root}", file=out)
    made, replaced = replace(
        client,
        name,
        uploaded,
        cron,
        experiment_id=experiment(client, args.experiment or package.name),
        parameters=parameters,
        pipeline_root=package.pipeline_root,
    )
    times = [each.isoformat() for each in cron.after(datetime.now(UTC), _SHOWN_TIMES, zone=zone)]
    if args.json:
        given = {"name": name, "id": made, "cron": cron.text, "time_zone": args.time_zone, "parameters": parameters}
        print_json(given | {"upcoming": times, "replaced": replaced, "url": place.page("recurringrun", made)})
        return 0
    print(f"schedule  {name}{' (in place of the one before)' if replaced else ''}: {place.page('recurringrun', made)}")
    print(f"runs at   {', '.join(times)}, ...")
    print(f"data      {'up to the time of each run' if UNTIL in package.kinds else 'as the dataset file says'}" + _own_window(args))
    return 0


def with_window(package: Package, given: list[str], cron: Cron, zone: str) -> dict[str, Any]:
    """The parameters, `data_until` among them being the schedule's own time unless it is given.

    Raises:
        InputError: see `Package.parameters`.
    """
    own = UNTIL in package.kinds and not any(each.startswith(f"{UNTIL}=") for each in given)
    return package.parameters([*given, f"{UNTIL}={scheduled(cron, zone)}"] if own else given)


def replace(
    client: Kubeflow,
    name: str,
    uploaded: Uploaded,
    cron: Cron,
    *,
    experiment_id: str,
    parameters: dict[str, Any],
    pipeline_root: str | None,
) -> tuple[str, list[str]]:
    """Schedule a version in the place of whatever had that name; returns its id, and the ids of those that are gone.

    The new one is made before the old one is disabled, then deleted: at each moment one of them at least is there. When the old one
    can't be disabled the new one is taken back, so that no two run.

    Raises:
        KubeflowError: the server refuses or doesn't answer; the text says what runs now.
    """
    before = _of_name(client, name)
    try:
        made = client.create_recurring_run(
            experiment_id,
            name,
            cron_expression=cron.text,
            max_concurrency=1,
            no_catchup=True,
            params=parameters,
            pipeline_root=pipeline_root,
            pipeline_id=uploaded.pipeline_id,
            version_id=uploaded.version_id,
        ).recurring_run_id
    except KubeflowError as error:
        unknown = "" if error.status else ", the new one perhaps too: see `shelfrank schedule --list`"
        still = f"the schedule {name!r} of before runs on" if before else f"{name!r} isn't scheduled"
        raise KubeflowError(f"{error}; {still}{unknown}", status=error.status) from None
    ids = [each.recurring_run_id for each in before]
    try:
        for old in ids:
            client.disable_recurring_run(old)
    except KubeflowError as error:
        raise KubeflowError(f"{error}{_taken_back(client, name, made, ids)}", status=error.status) from None
    try:
        for old in ids:
            client.delete_recurring_run(old)
    except KubeflowError as error:
        left = "the new schedule runs; the old one is disabled, and goes with the next `shelfrank schedule` of that name"
        raise KubeflowError(f"{error}; {left}", status=error.status) from None
    return str(made), ids


def remove(client: Kubeflow, name: str) -> list[str]:
    """Delete every schedule of that name; returns their ids.

    Raises:
        InputError: there is none.
        KubeflowError: the server refuses or doesn't answer.
    """
    ids = [str(each.recurring_run_id) for each in _of_name(client, name)]
    if not ids:
        there = sorted({str(each.display_name) for each in _all(client)})
        raise InputError(f"--remove {name}: there is no schedule of that name; there is {', '.join(there) or 'none at all'}")
    for each in ids:
        client.delete_recurring_run(each)
    return ids


def listed(client: Kubeflow, now: datetime) -> list[Row]:
    """Every schedule, by name."""
    return sorted((_row(each, client.place, now) for each in _all(client)), key=lambda row: (row.name, row.id))


def _row(told: Any, place: Place, now: datetime) -> Row:
    cron = told.trigger.cron_schedule.cron if told.trigger and told.trigger.cron_schedule else ""
    enabled = told.status == "ENABLED"
    upcoming = ""
    if cron and enabled:
        given = (told.runtime_config.parameters if told.runtime_config else None) or {}
        try:
            times = parse_cron(cron).after(now, 1, zone=zone_of(zone_in(str(given.get(UNTIL, "")))))
            upcoming = times[0].isoformat() if times else ""
        except InputError:
            pass  # @every, or five fields that mean something else there: made by somebody else
    key = str(told.recurring_run_id)
    return Row(str(told.display_name), key, cron, enabled, upcoming, place.page("recurringrun", key))


def _taken_back(client: Kubeflow, name: str, made: str, before: list[str]) -> str:
    try:
        client.delete_recurring_run(made)
        for old in before:
            client.enable_recurring_run(old)
    except KubeflowError:
        return f"; the schedule {name!r} of before and the new one may both run now: see `shelfrank schedule --list`, and try again"
    return f"; the new one is taken back, the schedule {name!r} of before runs on"


def _of_name(client: Kubeflow, name: str) -> list[Any]:
    return [each for each in _all(client) if each.display_name == name]


def _all(client: Kubeflow) -> list[Any]:
    ask = partial(client.list_recurring_runs, namespace=client.get_user_namespace() or None)
    return [each for page in pages(ask) for each in page.recurring_runs or ()]


def _own_window(args: Namespace) -> str:
    given = [each for each in args.parameter if each.startswith(f"{UNTIL}=")]
    return f", but for --parameter {given[-1]}" if given else ""


def _show(rows: list[Row]) -> None:
    if not rows:
        print("nothing is scheduled; `shelfrank schedule PIPELINE.yaml --cron ...` does it")
        return
    table = Table(title="Schedules", title_justify="left", header_style="bold")
    for column in ("name", "cron", "runs", "next", "id"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.name, row.cron or "(other)", "yes" if row.enabled else "no", row.upcoming, row.id)
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=_WIDTH)).print(table)
