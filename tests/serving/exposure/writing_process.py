"""A process that logs until it is killed, and says on its output which interactions were acknowledged.

python -c 'from tests.serving.exposure.writing_process import main; main()' FOLDER
"""

import sys
import threading
from pathlib import Path

from tests.serving.exposure.shop_log import click, exposure, log


def main() -> None:
    writer = log(Path(sys.argv[1]), rotate_bytes=20_000)
    said = threading.Lock()

    def shop(first: int) -> None:
        for n in range(first, 10**9, 8):
            writer.offer(exposure(n))
            writer.commit([click(n)]).result()
            with said:
                print(n, flush=True)

    for first in range(8):
        threading.Thread(target=shop, args=(first,)).start()
