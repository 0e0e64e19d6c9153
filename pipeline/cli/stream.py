"""Read a stream of events: `shelfrank stream`."""

import logging
import sys
from argparse import Namespace

from components.contract.errors import InputError
from components.contract.load import load_dataset
from pipeline.ops.stream import Store, StreamConfig, stream
from pipeline.terminal.console import print_json
from serving.service.state.redis_password import redis_password
from serving.stream.consumer import Consumer, ConsumerSettings
from serving.stream.decode.make_decoder import make_decoder
from serving.stream.interface import Source
from serving.stream.log.window_log import WindowSettings
from serving.stream.sources.open_source import open_source


def read_stream(args: Namespace) -> None:
    """Consume until stopped or finished, and print what was counted.

    Raises:
        InputError: the options, the dataset file or the source can't be used.
    """
    if args.load and args.state is None:
        raise InputError("--load brings the state of an ingestion into Redis: say where it is (--state)")
    dataset = load_dataset(args.dataset)
    if not 0 <= args.events < len(dataset.events):
        raise InputError(f"expected --events from 0 to {len(dataset.events) - 1}, the dataset file's event sources, got {args.events}")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    decoder = make_decoder(
        dataset,
        args.events,
        format=args.format,
        schema=args.schema,
        message=args.message,
        registry=args.registry,
        longest_bytes=args.largest,
    )
    config = StreamConfig(
        store=Store(args.redis, args.redis_cluster, redis_password(args.redis_password_file)),
        windows=WindowSettings(
            args.log,
            args.dead_letters or args.log / "dead-letters",
            every_s=args.window,
            most_rows=args.window_rows,
            dead_bytes=args.dead_bytes,
        ),
        state=args.state,
        load=args.load,
        consumer=ConsumerSettings(batch=args.batch, linger_s=args.linger, lateness_us=int(args.lateness * 1e6)),
        metrics=None if args.metrics_port is None else (args.metrics_host, args.metrics_port),
    )

    def source(consumer: Consumer) -> Source:
        return open_source(args.source, consumer, group=args.group or dataset.name, follow=args.follow)

    counts = stream(dataset, config, decoder, source).counts()
    if args.json:
        print_json(counts)
        return
    for name, number in counts.items():
        print(f"{name:40} {number:,}")
