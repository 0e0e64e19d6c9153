"""The fields that our manifests use of kinds that Kubernetes itself doesn't know, restated from their definitions; any other is refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tests.kubernetes.rendered import Doc


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Metadata(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    namespace: Literal["shelfrank"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class _Target(_Strict):
    apiVersion: Literal["apps/v1"]  # noqa: N815
    kind: Literal["Deployment"]
    name: str


class _Prometheus(_Strict):
    """Metadata of the scaler: all values are strings, and a threshold is a number in one."""

    serverAddress: Annotated[str, Field(pattern=r"^http://")]  # noqa: N815
    query: str
    threshold: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]


class _PrometheusTrigger(_Strict):
    type: Literal["prometheus"]
    name: str
    metadata: _Prometheus


class _Kafka(_Strict):
    """As of the scaler `kafka`; credentials come by the reference."""

    bootstrapServers: Annotated[str, Field(pattern=r"^[^:\s,]+:\d+(,[^:\s,]+:\d+)*$")]  # noqa: N815
    topic: str
    consumerGroup: str  # noqa: N815
    lagThreshold: Annotated[str, Field(pattern=r"^[1-9]\d*$")]  # noqa: N815
    offsetResetPolicy: Literal["earliest", "latest"]  # noqa: N815
    sasl: Literal["plaintext", "scram_sha256", "scram_sha512"]
    tls: Literal["enable", "disable"]


class _Reference(_Strict):
    name: str


class _KafkaTrigger(_Strict):
    type: Literal["kafka"]
    name: str
    metadata: _Kafka
    authenticationRef: _Reference  # noqa: N815


class _Fallback(_Strict):
    failureThreshold: Annotated[int, Field(gt=0)]  # noqa: N815
    replicas: Annotated[int, Field(gt=0)]


class _Advanced(_Strict):
    horizontalPodAutoscalerConfig: dict[Literal["behavior"], Any]  # noqa: N815


class _Scaling(_Strict):
    scaleTargetRef: _Target  # noqa: N815
    minReplicaCount: Annotated[int, Field(ge=0)]  # noqa: N815
    maxReplicaCount: Annotated[int, Field(ge=1)]  # noqa: N815
    pollingInterval: Annotated[int, Field(ge=1)]  # noqa: N815
    cooldownPeriod: Annotated[int, Field(ge=0)]  # noqa: N815
    fallback: _Fallback
    advanced: _Advanced
    triggers: Annotated[list[Annotated[_PrometheusTrigger | _KafkaTrigger, Field(discriminator="type")]], Field(min_length=1)]

    @model_validator(mode="after")
    def _between(self) -> "_Scaling":
        if not self.minReplicaCount <= self.fallback.replicas <= self.maxReplicaCount:
            raise ValueError("fallback.replicas lies between minReplicaCount and maxReplicaCount")
        names = [trigger.name for trigger in self.triggers]
        if len(set(names)) < len(names):
            raise ValueError("triggers have names of their own")
        return self


class ScaledObject(_Strict):
    """keda.sh/v1alpha1, as of KEDA 2.16."""

    apiVersion: Literal["keda.sh/v1alpha1"]  # noqa: N815
    kind: Literal["ScaledObject"]
    metadata: _Metadata
    spec: _Scaling


class _FromSecret(_Strict):
    parameter: Literal["username", "password", "ca"]
    name: str
    key: str


class _FromSecrets(_Strict):
    secretTargetRef: Annotated[list[_FromSecret], Field(min_length=1)]  # noqa: N815


class TriggerAuthentication(_Strict):
    """keda.sh/v1alpha1, for the scaler `kafka`."""

    apiVersion: Literal["keda.sh/v1alpha1"]  # noqa: N815
    kind: Literal["TriggerAuthentication"]
    metadata: _Metadata
    spec: _FromSecrets


class _Predictor(BaseModel):
    """The predictor's own fields; all others are a pod's, and are validated as such."""

    model_config = ConfigDict(extra="allow", strict=True)
    minReplicas: Annotated[int, Field(ge=0)]  # noqa: N815
    maxReplicas: Annotated[int, Field(ge=1)]  # noqa: N815
    scaleMetric: Literal["cpu", "memory", "concurrency", "rps"]  # noqa: N815
    scaleTarget: Annotated[int, Field(gt=0)]  # noqa: N815
    labels: dict[str, str]
    containers: list[dict[str, Any]]

    @model_validator(mode="after")
    def _named(self) -> "_Predictor":
        if self.containers[0]["name"] != "kserve-container":
            raise ValueError("KServe's first container is called kserve-container")
        if self.scaleMetric not in ("cpu", "memory"):
            raise ValueError("a plain Deployment is scaled by cpu or memory")
        return self


class _Serving(_Strict):
    predictor: _Predictor


class InferenceService(_Strict):
    """serving.kserve.io/v1beta1, as of KServe 0.15."""

    apiVersion: Literal["serving.kserve.io/v1beta1"]  # noqa: N815
    kind: Literal["InferenceService"]
    metadata: _Metadata
    spec: _Serving


KINDS: dict[str, type[BaseModel]] = {
    "ScaledObject": ScaledObject,
    "TriggerAuthentication": TriggerAuthentication,
    "InferenceService": InferenceService,
}


def check(doc: Doc) -> None:
    """Raises ValueError for a field that is unknown, missing or of another type."""
    KINDS[doc["kind"]].model_validate(doc)
