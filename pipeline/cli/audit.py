"""Audit logged decisions: `shelfrank audit`."""

import os
import sys
from argparse import Namespace
from pathlib import Path

from components.contract.load import load_dataset
from components.contract.storage.object_store import Address
from pipeline.audit.as_json import audit_json, worst
from pipeline.audit.audit import AuditConfig, Audits, Status, audit
from pipeline.audit.audit_page import render_audits
from pipeline.audit.terminal import print_audit
from pipeline.results.atomic_write import write_atomically
from pipeline.terminal.console import console, print_json
from pipeline.terminal.display import display
from pipeline.terminal.exit_code import EXIT_DIFFERENT, EXIT_NOT_FOUND, EXIT_NOT_LOGGED, EXIT_RELEASE_GONE

EXITS = {Status.DIFFERENT: EXIT_DIFFERENT, Status.NOT_LOGGED: EXIT_NOT_LOGGED, Status.RELEASE_GONE: EXIT_RELEASE_GONE}


def audit_requests(args: Namespace, root: Path) -> int:
    """Audit the requests, print and write what is asked for; returns the exit code.

    Raises:
        InputError: the log, the store or an option can't be used.
    """
    config = AuditConfig(
        logs=[Path(log) for log in args.log] if args.log else [root / "serving" / "exposures"],
        store=Address.parse(args.store or root),
        index=None if args.index is None else Path(args.index),
        examples=args.examples,
        dataset=None if args.dataset is None else load_dataset(args.dataset),
        rescored=args.rescored,
        explained=args.why,
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow says of the processor isn't for whoever audits
    requests = list(dict.fromkeys(args.requests))
    with display(sys.stderr) as progress:
        progress.begin("Audit")
        audits = audit(config, requests, say=progress.say)
        progress.end("done")
    every = [each for matching in audits.by_request.values() for each in matching]
    missing = _missing(audits)
    if args.html:
        write_atomically(Path(args.html), render_audits(every))
    if args.json:
        print_json({"audits": [audit_json(each) for each in every], "missing": missing, "searched": audits.searched.sentence("decisions")})
    else:
        for each in every:
            print_audit(each, console())
    for request, why in missing.items():
        print(f"shelfrank audit: {request!r}: {why}", file=sys.stderr)
    code = EXITS.get(worst(every), 0) if every else 0
    return code or (EXIT_NOT_FOUND if missing else 0)


def _missing(audits: Audits) -> dict[str, str]:
    """Say of each request that has no audit, why."""
    missing = {}
    for request, matching in audits.by_request.items():
        if request in audits.forgotten:
            missing[request] = (
                "its shopper has asked to be forgotten: what is still in the log isn't shown, and goes when its files are complete"
            )
        elif not matching:
            missing[request] = (
                f"no decision has this id among {audits.searched.sentence('decisions')}; check the id, --log and its retention"
            )
    return missing
