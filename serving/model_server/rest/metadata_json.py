"""Render status and signatures as JSON: snake case, default values printed, 64-bit integers as strings."""

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.model_server.metadata import SIGNATURES


def status(response: get_model_status_pb2.GetModelStatusResponse) -> str:
    """Render the status of versions."""
    return _json(response)


def metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> str:
    """Render the model spec and the signatures."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURES].Unpack(signatures)
    return f'{{\n"model_spec":{_json(response.model_spec)},\n"metadata": {{"{SIGNATURES}": {_json(signatures)}}}\n}}\n'


def _json(message: Message) -> str:
    text: str = json_format.MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return text
