"""ML Metadata's own store behind its own gRPC service: `python -m tests.engines.kubeflow.metadata_server ADDRESS FILE`.

ML Metadata's server isn't in its Python package; the store that it serves is, and takes and returns the service's messages.
"""

import re
import sys
import threading
from concurrent import futures
from typing import Any

import grpc
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as library
from ml_metadata.proto import metadata_store_pb2
from ml_metadata.proto import metadata_store_service_pb2 as service_pb2

_ONE_NUMBER = re.compile(r"custom_properties\.(\w+)\.int_value = (\d+)")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Store:
    """The library's store; it is called by one thread at a time."""

    def __init__(self, file: str) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = file
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._store = library.CreateMetadataStore(config.SerializeToString(), metadata_store_pb2.MigrationOptions().SerializeToString())
        self._lock = threading.Lock()

    def answer(self, method: str, request: bytes) -> tuple[bytes, str, int]:
        """Return the answer as bytes, an error's text, and its code or 0."""
        wanted = service_pb2.GetExecutionsByContextRequest() if method == "GetExecutionsByContext" else None
        if wanted is None or not (query := _ONE_NUMBER.fullmatch(_parsed(wanted, request).options.filter_query)):
            with self._lock:
                response, message, code = getattr(library, method)(self._store, request)
            return response, message if isinstance(message, str) else message.decode(), code
        # The library lost its query language; Kubeflow's driver asks for one number.
        wanted.ClearField("options")
        response, message, code = self.answer(method, wanted.SerializeToString())
        answer = service_pb2.GetExecutionsByContextResponse.FromString(response)
        kept = [each for each in answer.executions if each.custom_properties[query[1]].int_value == int(query[2])]
        return service_pb2.GetExecutionsByContextResponse(executions=kept).SerializeToString(), message, code


def _parsed(message: Any, content: bytes) -> Any:
    message.ParseFromString(content)
    return message


def serve(address: str, file: str) -> grpc.Server:
    """Return a server that has started."""
    store = Store(file)

    def handler(method: str) -> grpc.RpcMethodHandler:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            if not hasattr(library, method):
                context.abort(grpc.StatusCode.UNIMPLEMENTED, method)
            response, message, code = store.answer(method, request)
            if code:
                context.abort(_CODES[code], message)
            return response

        return grpc.unary_unary_rpc_method_handler(call)

    methods = service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"].methods
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(8), options=unlimited)
    handlers = {method.name: handler(method.name) for method in methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ml_metadata.MetadataStoreService", handlers),))
    server.add_insecure_port(address)
    server.start()
    return server


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2]).wait_for_termination()
