"""The section `[kubernetes]` of the settings."""

from __future__ import annotations

from pydantic import Field

from assets.settings.read_at_start import ReadAtStart


class Kubernetes(ReadAtStart):
    """Pods of `run.executor = "k8s"`, one per step. Nothing here changes a result. Read at start, not from the launchpad."""

    image: str | None = Field(None, description="Container image of the steps. Unset: the image of the run.")
    namespace: str | None = Field(None, description="Namespace of the pods. Unset: that of the run.")
    service_account: str | None = Field(None, description="Service account of the pods. Unset: that of the run.")
    secrets: list[str] = Field(
        [],
        description="Kubernetes secrets whose entries become environment variables: credentials of database and bucket.",
    )
    cpu: str = Field("1", min_length=1, description="CPU cores that a step asks for.")
    memory: str = Field("4Gi", min_length=1, description="Memory that a step asks for.")
    memory_of: dict[str, str] = Field(
        {}, description='Memory of single steps, such as {"memory_bank": "32Gi"}, in place of `memory`.'
    )
    gpus: dict[str, int] = Field(
        {}, description='GPUs of single steps, such as {"visual_embeddings": 1}. Other steps get none.'
    )
    node_selector: dict[str, str] = Field(
        {}, description="Labels of the nodes on which steps with a GPU run, such as the pool of GPU machines."
    )
