"""Schedule a compiled pipeline, each run on the data up to its time: `shelfrank schedule`."""

import json
import sys
from argparse import Namespace
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from rich.table import Table

from components.contract.errors import InputError, KubeflowError
from components.contract.values.cron import Cron, parse_cron
from components.contract.values.data_cutoff import scheduled, zone_in, zone_of
from pipeline.kubeflow.compile.package import Package, read_package
from pipeline.kubeflow.submit.client import Endpoint, Kubeflow, connect
from pipeline.kubeflow.submit.run_outcome import OUTCOME_STEP, find_outcome
from pipeline.kubeflow.submit.steps import FINISHED
from pipeline.kubeflow.submit.submit import endpoint_from, upload_summary
from pipeline.kubeflow.submit.upload import Uploaded, all_pages, get_or_create_experiment, upload
from pipeline.kubeflow.submit.workflow import read_workflow
from pipeline.terminal.console import console, print_json

UNTIL = "data_until"
_SHOWN_TIMES, _WIDTH = 3, 140
_LATEST = 10  # runs; a schedule has one at a time, so one of two has ended


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule of a server.

    Attributes:
        name: need not be unique.
        id: of the recurring run.
        cron: six fields; "" where its trigger is another.
        enabled: whether it starts runs.
        upcoming: time of the next run, ISO 8601; "" where it is unknown.
        url: of its page in the UI.
        last_run: id of its latest run that has ended; "" where there is none.
        last_outcome: what became of that run's model.
    """

    name: str
    id: str
    cron: str
    enabled: bool
    upcoming: str
    url: str
    last_run: str = ""
    last_outcome: str = ""


def schedule(args: Namespace) -> None:
    """List, remove or create a schedule, as the command line asks.

    Raises:
        InputError: the file, cron, a parameter or an option is invalid.
        KubeflowError: the server refuses, or doesn't answer; the text says what runs now.
    """
    out = sys.stderr if args.json else sys.stdout
    endpoint = endpoint_from(args)
    if args.list:
        rows = list_schedules(connect(endpoint), datetime.now(UTC))
        if args.json:
            print_json([asdict(row) for row in rows])
        else:
            _show(rows)
    elif args.remove:
        removed = remove(connect(endpoint), args.remove)
        print(f"removed {args.remove}: {len(removed)} schedule{'s' * (len(removed) != 1)}; runs that have started go on", file=out)
    elif not args.pipeline:
        raise InputError("--cron: expected a compiled pipeline before it, such as pipeline.yaml")
    else:
        _create(args, endpoint, out)


def _create(args: Namespace, endpoint: Endpoint, out: TextIO) -> None:
    package = read_package(Path(args.pipeline))
    cron, zone = parse_cron(args.cron), zone_of(args.time_zone)
    if len(args.cron.split()) == 5:
        print(f"cron      five fields are crontab's; Kubeflow has seconds first: {cron.text}", file=out)
    parameters = with_window(package, args.parameter, cron, args.time_zone)
    client = connect(endpoint)
    uploaded = upload(client, package)
    print(f"pipeline  {upload_summary(package, uploaded, endpoint)}", file=out)
    name = args.name or package.name
    if package.pipeline_root:
        print(f"artifacts {package.pipeline_root}", file=out)
    schedule_id, replaced = replace(
        client,
        name,
        uploaded,
        cron,
        experiment_id=get_or_create_experiment(client, args.experiment or package.name),
        parameters=parameters,
        pipeline_root=package.pipeline_root,
    )
    times = [each.isoformat() for each in cron.after(datetime.now(UTC), _SHOWN_TIMES, zone=zone)]
    if args.json:
        values = {"name": name, "id": schedule_id, "cron": cron.text, "time_zone": args.time_zone, "parameters": parameters}
        print_json(values | {"upcoming": times, "replaced": replaced, "url": endpoint.page("recurringrun", schedule_id)})
        return
    print(f"schedule  {name}{' (in place of the one before)' if replaced else ''}: {endpoint.page('recurringrun', schedule_id)}")
    print(f"runs at   {', '.join(times)}, ...")
    print(f"data      {'up to the time of each run' if UNTIL in package.kinds else 'as the dataset file says'}" + _cutoff_note(args))


def with_window(package: Package, values: list[str], cron: Cron, zone: str) -> dict[str, Any]:
    """Return the parameters, with `data_until` set to the schedule's own time unless it is among `values`.

    Raises:
        InputError: see `Package.parameters`.
    """
    own = UNTIL in package.kinds and not any(each.startswith(f"{UNTIL}=") for each in values)
    return package.parameters([*values, f"{UNTIL}={scheduled(cron, zone)}"] if own else values)


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
    """Schedule a version, replace the schedules of that name, and return the new id and the removed ones.

    The new one is created before the old one is disabled, then deleted: at each moment there is at least one. If the
    old one can't be disabled the new one is deleted, so that no two run.

    Raises:
        KubeflowError: the server refuses or doesn't answer; the text says what runs now.
    """
    replaced = _named(client, name)
    try:
        new_id = client.create_recurring_run(
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
        old_state = f"the schedule {name!r} of before runs on" if replaced else f"{name!r} isn't scheduled"
        raise KubeflowError(f"{error}; {old_state}{unknown}", status=error.status) from None
    ids = [each.recurring_run_id for each in replaced]
    try:
        for old in ids:
            client.disable_recurring_run(old)
    except KubeflowError as error:
        raise KubeflowError(f"{error}{_undo(client, name, new_id, ids)}", status=error.status) from None
    try:
        for old in ids:
            client.delete_recurring_run(old)
    except KubeflowError as error:
        state = "the new schedule runs; the old one is disabled, and goes with the next `shelfrank schedule` of that name"
        raise KubeflowError(f"{error}; {state}", status=error.status) from None
    return str(new_id), ids


def remove(client: Kubeflow, name: str) -> list[str]:
    """Delete every schedule of that name, and return their ids.

    Raises:
        InputError: there is none.
        KubeflowError: the server refuses or doesn't answer.
    """
    ids = [str(each.recurring_run_id) for each in _named(client, name)]
    if not ids:
        names = sorted({str(each.display_name) for each in _all(client)})
        raise InputError(f"--remove {name}: there is no schedule of that name; there is {', '.join(names) or 'none at all'}")
    for each in ids:
        client.delete_recurring_run(each)
    return ids


def list_schedules(client: Kubeflow, now: datetime) -> list[ScheduleRow]:
    """Return every schedule, sorted by name."""
    return sorted((_row(client, each, now) for each in _all(client)), key=lambda row: (row.name, row.id))


def _row(client: Kubeflow, recurring_run: Any, now: datetime) -> ScheduleRow:
    cron = recurring_run.trigger.cron_schedule.cron if recurring_run.trigger and recurring_run.trigger.cron_schedule else ""
    enabled = recurring_run.status == "ENABLED"
    upcoming = ""
    if cron and enabled:
        values = (recurring_run.runtime_config.parameters if recurring_run.runtime_config else None) or {}
        try:
            times = parse_cron(cron).after(now, 1, zone=zone_of(zone_in(str(values.get(UNTIL, "")))))
            upcoming = times[0].isoformat() if times else ""
        except InputError:
            pass  # `@every`, or another tool's five fields
    key = str(recurring_run.recurring_run_id)
    return ScheduleRow(
        str(recurring_run.display_name), key, cron, enabled, upcoming, client.endpoint.page("recurringrun", key), *last_outcome(client, key)
    )


def last_outcome(client: Kubeflow, recurring_run_id: str) -> tuple[str, str]:
    """Return the id of a schedule's latest run that has ended, and what became of its model; ("", "") where there is none.

    A run whose model was refused succeeds as any other, and nobody follows the runs of a schedule.
    """
    its_own = {"operation": 1, "key": "recurring_run_id", "stringValue": recurring_run_id}  # 1: equals
    listed = client.list_runs(
        page_size=_LATEST,
        sort_by="created_at desc",
        namespace=client.get_user_namespace() or None,
        filter=json.dumps({"predicates": [its_own]}),
    )
    run = next((each for each in listed.runs or () if each.state in FINISHED), None)
    if run is None:
        return "", ""
    if run.state != "SUCCEEDED":
        return str(run.run_id), str(run.state).lower()
    outcome = find_outcome(client, run, read_workflow(client, run.run_id, (OUTCOME_STEP,))).outcome
    if outcome is None:
        return str(run.run_id), "succeeded; whether its model was released can't be known from here"
    return str(run.run_id), f"released as release {outcome.version}" if outcome.released else f"refused: {' '.join(outcome.refusals)}"


def _undo(client: Kubeflow, name: str, new_id: str, old_ids: list[str]) -> str:
    try:
        client.delete_recurring_run(new_id)
        for old in old_ids:
            client.enable_recurring_run(old)
    except KubeflowError:
        return f"; the schedule {name!r} of before and the new one may both run now: see `shelfrank schedule --list`, and try again"
    return f"; the new one is taken back, the schedule {name!r} of before runs on"


def _named(client: Kubeflow, name: str) -> list[Any]:
    return [each for each in _all(client) if each.display_name == name]


def _all(client: Kubeflow) -> list[Any]:
    list_page = partial(client.list_recurring_runs, namespace=client.get_user_namespace() or None)
    return [each for page in all_pages(list_page) for each in page.recurring_runs or ()]


def _cutoff_note(args: Namespace) -> str:
    values = [each for each in args.parameter if each.startswith(f"{UNTIL}=")]
    return f", but for --parameter {values[-1]}" if values else ""


def _show(rows: list[ScheduleRow]) -> None:
    if not rows:
        print("nothing is scheduled; `shelfrank schedule PIPELINE.yaml --cron ...` does it")
        return
    table = Table(title="Schedules", title_justify="left", header_style="bold")
    for column in ("name", "cron", "runs", "next", "id"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.name, row.cron or "(other)", "yes" if row.enabled else "no", row.upcoming, row.id)
    console(_WIDTH).print(table)
    for row in rows:
        if row.last_run:
            print(f"{row.name}, latest run that has ended ({row.last_run}): {row.last_outcome}")
