"""Answer queries about the models: the status of their versions, and their signatures."""

from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.model_spec import required_model_spec
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.version_status import Status, VersionStatuses

SIGNATURES = "signature_def"


def model_status(
    request: get_model_status_pb2.GetModelStatusRequest, statuses: VersionStatuses
) -> get_model_status_pb2.GetModelStatusResponse:
    """Return the status of one version, or of all ever seen, newest first. Raises NOT_FOUND when there is none.

    A label is ignored, as by TensorFlow Serving: the response is for all versions.
    """
    spec = required_model_spec(request)
    versions = statuses.versions(spec.name)
    requested = spec.version.value if spec.HasField("version") else None
    if requested is not None and requested not in versions:
        raise ServingError(Code.NOT_FOUND, f"Could not find version {requested} of model {spec.name}")
    if not versions:
        raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, status in versions.items():
        if requested in (None, version):
            _add(response, version, status)
    return response


def _add(response: get_model_status_pb2.GetModelStatusResponse, version: int, status: Status) -> None:
    entry = response.model_version_status.add(version=version, state=int(status.state))
    entry.status.error_code = status.error.code if status.error else error_codes_pb2.OK
    entry.status.error_message = str(status.error or "")


def model_metadata(
    request: get_model_metadata_pb2.GetModelMetadataRequest, registry: Registry
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Return the signatures of one version. Raises INVALID_ARGUMENT for any other field than `signature_def`."""
    spec = required_model_spec(request)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != SIGNATURES:
            raise invalid(f"Metadata field {name} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with registry.lease(spec) as servable:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.runner.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.name = spec.name
        response.model_spec.version.value = servable.version
    response.metadata[SIGNATURES].Pack(signatures)
    return response
