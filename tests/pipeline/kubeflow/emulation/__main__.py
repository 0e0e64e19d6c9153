"""Run a compiled pipeline on this machine as Kubeflow would: `python -m tests.pipeline.kubeflow.emulation pipeline.yaml --root DIR`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.pipeline.kubeflow.emulation.backend import RELEASES, Backend
from tests.pipeline.kubeflow.emulation.compiled import read
from tests.pipeline.kubeflow.emulation.driver import TYPES, Json
from tests.pipeline.kubeflow.emulation.pod import Cluster, claims
from tests.pipeline.kubeflow.emulation.run import Event, execute


def main() -> int:
    """Run it; returns 0 where all steps ended well, 1 where one failed, 2 where the server would refuse the run."""
    args = _arguments()
    compiled = read(args.pipeline)
    folder: Path = args.root.absolute()
    cluster = Cluster(folder, secrets=_secrets(args.secret))
    # Claims are made by whoever sets up the cluster: here, by this command.
    for step in compiled.steps.values():
        for claim in claims(step).values():
            cluster.volume(claim).mkdir(parents=True, exist_ok=True)
    parameters: Json = {}
    for name, value in (each.split("=", 1) for each in args.parameter):
        kind = compiled.inputs.parameters[name].parameter_type if name in compiled.inputs.parameters else TYPES.STRING
        parameters[name] = value if kind == TYPES.STRING else json.loads(value)
    try:
        run = execute(
            compiled,
            cluster,
            parameters=parameters,
            pipeline_root=args.pipeline_root,
            run_id=args.run,
            backend=Backend(args.release),
            at_once=args.at_once,
            on_event=_say,
        )
    except KeyboardInterrupt:
        print(f"interrupted; with --run {args.run} the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for name, outputs in run.finished.items():
        for artifact in outputs.artifacts:
            print(f"{name}.{artifact}: {run.types[name][artifact]}, {run.path(name, artifact)}")
    for why in run.failed.values():
        print(why, file=sys.stderr)
    print(f"what the containers said: {folder / 'runs' / run.id / 'logs'}", file=sys.stderr)
    return 1 if run.failed else 0


def _say(event: Event) -> None:
    again = f" (attempt {event.attempt + 1})" if event.attempt else ""
    after = "" if event.kind == "started" else f", {event.seconds:.1f} s"
    print(f"[{event.step}] {event.kind}{again}{after}", file=sys.stderr, flush=True)


def _secrets(options: list[str]) -> dict[str, dict[str, str]]:
    secrets: dict[str, dict[str, str]] = {}
    for each in options:
        name, _, pair = each.partition("/")
        key, _, value = pair.partition("=")
        secrets.setdefault(name, {})[key] = value
    return secrets


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.pipeline.kubeflow.emulation", description=__doc__)
    parser.add_argument("pipeline", metavar="pipeline.yaml", type=Path, help="what `shelfrank compile` wrote")
    parser.add_argument("--root", metavar="DIR", type=Path, required=True, help="folder of object store, volumes, logs")
    parser.add_argument("--parameter", metavar="NAME=VALUE", action="append", default=[], help="of the run; may be given again")
    parser.add_argument("--pipeline-root", metavar="URI", help="of the run; the one in the file is read by nobody")
    parser.add_argument("--release", choices=RELEASES, default=RELEASES[-1], help=f"of the backend (default: {RELEASES[-1]})")
    parser.add_argument("--secret", metavar="NAME/KEY=VALUE", action="append", default=[], help="that pods read; may be given again")
    parser.add_argument("--run", metavar="ID", default="run-1", help="of the run; one that was there is tried again (default: run-1)")
    parser.add_argument("--at-once", metavar="N", type=int, default=2, help="pods at the same time (default: 2)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
