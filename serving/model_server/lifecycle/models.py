"""Read the models to serve from a ModelServerConfig, checked as by TensorFlow Serving."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import file_system_storage_path_source_pb2 as source_pb2
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server.errors import invalid
from serving.model_server.lifecycle.versions import Every, Latest, Policy, Specific


@dataclass(frozen=True)
class Model:
    """One model: the folder of its version folders, which of them to serve, and the versions by label."""

    name: str
    base_path: str
    platform: str
    policy: Policy
    labels: Mapping[str, int]


Models = dict[str, Model]


def single(name: str, base_path: str) -> Models:
    """Return the one model of `--model_name` and `--model_base_path`."""
    return checked({name: Model(name, base_path, "tensorflow", Latest(), {})})


def read(path: Path) -> Models:
    """Read a config file in protobuf's text format. Raises INVALID_ARGUMENT for a fault."""
    config = config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text(), config)
    except OSError as error:
        raise invalid(f"can't read the model config file {path}: {error.strerror}; give a file to --model_config_file") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid(f"Error parsing text-format tensorflow.serving.ModelServerConfig: {path}: {error}") from error
    return from_proto(config)


def from_proto(config: config_pb2.ModelServerConfig) -> Models:
    """Convert a ModelServerConfig. Raises INVALID_ARGUMENT for a repeated name, a relative base path or no platform."""
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported")
    models: Models = {}
    for entry in config.model_config_list.config:
        if entry.name in models:
            raise invalid(f"Illegal to list model {entry.name} multiple times in config list")
        platform = entry.model_platform or ("tensorflow" if entry.model_type == config_pb2.TENSORFLOW else "")
        policy = _policy(entry.model_version_policy)
        models[entry.name] = Model(entry.name, entry.base_path, platform, policy, dict(entry.version_labels))
    return checked(models)


def checked(models: Models) -> Models:
    """Return the models. Raises INVALID_ARGUMENT for a relative base path or a missing platform."""
    for model in models.values():
        if not Path(model.base_path).is_absolute():
            raise invalid(f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}")
        if not model.platform:
            raise invalid(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
                f"model name is {model.name}"
            )
    return models


def check_platforms(models: Models, before: Models) -> None:
    """Raise INVALID_ARGUMENT where a model would change its platform, or has one that isn't served here."""
    for model in models.values():
        old = before.get(model.name)
        if old and old.platform != model.platform:
            raise invalid(
                f"Illegal to change a model's platform. For model {model.name} platform was {old.platform} "
                f"and new platform requested is {model.platform}"
            )
        if model.platform != "tensorflow":
            raise invalid(f"Model {model.name} requests unsupported platform {model.platform}")


def _policy(policy: source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> Policy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return Every()
        case "specific":
            return Specific(frozenset(policy.specific.versions))
        case _:
            return Latest(max(policy.latest.num_versions, 1))
