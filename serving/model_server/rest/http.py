"""Serve the REST API over HTTP: uvicorn on a thread with its own event loop, requests on a thread pool."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from serving.model_server.rest.api import Api, Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RestServer:
    """HTTP server that listens from its construction and answers from `start` to `stop`; `port` is the bound port."""

    def __init__(self, api: Api, *, host: str, port: int, threads: int) -> None:
        self._api = api
        self._socket = socket.create_server((host, port), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        config = uvicorn.Config(
            self._app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_level=logging.WARNING,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="rest", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish running requests, then close."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        self._pool.shutdown()

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        chunks = []
        has_next = True
        while has_next:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            has_next = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], scope["raw_path"].decode("latin-1"), headers, b"".join(chunks))
        answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._api.answer, request)
        sent = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        sent.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})
