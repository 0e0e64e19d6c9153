"""Run a compiled pipeline on a cluster, and follow it to its end: `shelfrank submit`."""

import shlex
import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kfp_server_api

from components.contract.errors import KubeflowError, RefusedModel, RunError, UnknownOutcome
from pipeline.kubeflow.compile.package import Package, read_package
from pipeline.kubeflow.submit.client import Endpoint, Kubeflow, connect
from pipeline.kubeflow.submit.follow import EndedRun, follow
from pipeline.kubeflow.submit.run_display import duration, run_display
from pipeline.kubeflow.submit.upload import Uploaded, get_or_create_experiment, upload
from pipeline.terminal.console import print_json
from pipeline.terminal.exit_code import EXIT_INTERRUPTED


def submit(args: Namespace) -> int:
    """Start, follow or terminate a run; returns the exit code.

    Raises:
        InputError: the file, a parameter or an option is invalid.
        KubeflowError: the server refuses, or doesn't answer.
        RunError: the run failed, or was cancelled.
        RefusedModel: it succeeded, and its gates refused the model.
        UnknownOutcome: it succeeded, and no source shows whether the model was released.
    """
    out = sys.stderr if args.json else sys.stdout
    endpoint = endpoint_from(args)
    if args.terminate:
        connect(endpoint).terminate_run(args.terminate)
        print(f"run {args.terminate} is being ended: {endpoint.page('runs', args.terminate)}", file=out)
        return 0
    if args.follow:
        return _follow(connect(endpoint), args.follow, args)
    package = read_package(Path(args.pipeline))
    parameters = package.parameters(args.parameter)  # before any request to the server
    client = connect(endpoint)
    uploaded = upload(client, package)
    print(f"pipeline  {upload_summary(package, uploaded, endpoint)}", file=out)
    if package.pipeline_root:
        print(f"artifacts {package.pipeline_root}", file=out)
    run_id = start(
        client,
        uploaded,
        experiment_id=get_or_create_experiment(client, args.experiment or package.name),
        name=args.run_name or f"{package.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        parameters=parameters,
        pipeline_root=package.pipeline_root,
    )
    print(f"run       {endpoint.page('runs', run_id)}", file=out, flush=True)
    if args.no_follow:
        if args.json:
            print_json(
                {"run_id": run_id, "url": endpoint.page("runs", run_id), "pipeline_id": uploaded.pipeline_id, "version": uploaded.version}
            )
        else:
            print(f"follow    {_command(args, '--follow', run_id)}")
        return 0
    return _follow(client, run_id, args, names=package.steps)


def start(
    client: Kubeflow, uploaded: Uploaded, *, experiment_id: str, name: str, parameters: dict[str, Any], pipeline_root: str | None
) -> str:
    """Start a run of a version, and return its id.

    Raises:
        KubeflowError: the server refuses, or doesn't respond; the text says how to look for a run that has started all
            the same.
    """
    run = kfp_server_api.V2beta1Run(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=uploaded.pipeline_id, pipeline_version_id=uploaded.version_id
        ),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters=parameters, pipeline_root=pipeline_root),
    )
    # `run_pipeline` of kfp.Client is this and a print.
    try:
        return str(client.runs.run_service_create_run(run=run).run_id)
    except KubeflowError as error:
        if error.status:
            raise
        raise KubeflowError(f"{error}; it may have started all the same: look for {name!r} at {client.endpoint.url}/#/runs") from None


def endpoint_from(args: Namespace) -> Endpoint:
    """Return the server that the options name."""
    return Endpoint(
        host=args.host,
        token_file=Path(args.token_file) if args.token_file else None,
        namespace=args.namespace,
        ca=Path(args.tls) if args.tls else None,
        timeout_s=args.answer_within,
    )


def upload_summary(package: Package, uploaded: Uploaded, endpoint: Endpoint) -> str:
    """Return a sentence on the uploaded version."""
    created = {"pipeline": "new pipeline", "version": "new version", "nothing": "there already"}[uploaded.created]
    page = endpoint.page("pipelines", f"{uploaded.pipeline_id}/version/{uploaded.version_id}")
    return f"{package.name}, version {uploaded.version} ({created}): {page}"


def _follow(client: Kubeflow, run_id: str, args: Namespace, *, names: tuple[str, ...] = ()) -> int:
    try:
        with run_display(sys.stderr) as display:
            end = follow(client, run_id, display, names=names, poll_s=args.poll, timeout_s=args.timeout)
    except KeyboardInterrupt:
        print(
            f"\nnot followed any more; the run goes on: {client.endpoint.page('runs', run_id)}\n{_next_commands(args, run_id)}",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    except KubeflowError as error:
        if error.status == 404:
            raise
        raise KubeflowError(f"{error}\n{_next_commands(args, run_id)}", status=error.status) from None
    if args.json:
        print_json(end.shown())
    if not end.succeeded:
        raise RunError(failure_text(end))
    outcome = end.lookup.outcome
    if outcome is None:
        raise UnknownOutcome(_unknown_outcome_text(end))
    if not outcome.released:
        raise RefusedModel(
            f"the model was refused, nothing was released: {' '.join(outcome.refusals) or end.url} (source: {end.lookup.source})"
        )
    if not args.json:
        number = f" as release {outcome.version}" if outcome.version else ""
        print(f"succeeded, {_total_duration(end)} of steps; the model was released{number} (source: {end.lookup.source})")
    return 0


def _unknown_outcome_text(end: EndedRun) -> str:
    reasons = "\n".join(f"    {reason}" for reason in end.lookup.failed)
    return (
        f"the run succeeded, {_total_duration(end)} of steps, but whether its model was released or refused can't be known from here:\n"
        f"{reasons}\nsee the page of its step SliceReport: {end.url}"
    )


def _total_duration(end: EndedRun) -> str:
    return duration(sum(step.seconds or 0.0 for step in end.steps))


def failure_text(end: EndedRun) -> str:
    """Say which steps failed, with the end of their logs."""
    if end.state != "FAILED":
        return f"run {end.run_id} was {'cancelled' if end.state == 'CANCELED' else end.state.lower()}: {end.url}"
    parts = []
    for failure in end.failures:
        parts.append(f"{failure.step or 'the run'} failed: {failure.message or 'no reason is told'}")
        parts += [f"    {line}" for line in failure.log]
    return "\n".join([*(parts or [f"run {end.run_id} failed, and the server doesn't say where"]), f"the whole story: {end.url}"])


def _next_commands(args: Namespace, run_id: str) -> str:
    return f"follow it again:  {_command(args, '--follow', run_id)}\nend it:           {_command(args, '--terminate', run_id)}"


def _command(args: Namespace, option: str, run_id: str) -> str:
    options = [("--host", args.host), ("--token-file", args.token_file), ("--namespace", args.namespace), ("--tls", args.tls)]
    return shlex.join(["shelfrank", "submit", option, run_id, *(word for name, value in options if value for word in (name, value))])
