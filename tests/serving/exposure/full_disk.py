"""A process whose files may not grow, as on a full disk: each write tears a line, then fails. Says what the log made of it.

python -c 'from tests.serving.exposure.full_disk import main; main()' FOLDER
"""

import json
import resource
import sys
import time
from pathlib import Path

from components.contract.errors import LogUnavailable
from tests.serving.exposure.shop_log import click, exposure, log


def main() -> None:
    folder = Path(sys.argv[1])
    writer = log(folder, retry_s=0.2)
    writer.offer(exposure(0))
    writer.commit([click(0)]).result(10)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))  # room for the one, but not for many
    refused = []
    for n in range(1, 30):
        writer.offer(exposure(n))
        try:
            writer.commit([click(n)] * 20).result(10)
        except LogUnavailable:
            refused.append(n)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    time.sleep(0.3)
    accepted = writer.offer(exposure(30))
    writer.commit([click(30)]).result(10)
    closed = writer.close(10)
    counts = writer.counts()
    told = {
        "refused": refused,
        "accepted": accepted,
        "closed": closed,
        "written": counts.exposures_written,
        "dropped": counts.exposures_dropped_disk,
        "interactions": [counts.interactions_committed, counts.interactions_refused],
    }
    print(json.dumps(told))
