"""The executor of runs, by the setting `run.executor`."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets.engine.pools import MODEL_TAG
from assets.settings import Kubernetes, Settings
from pipeline.extras import require

# With one process or pod per step, two models still never share a device.
ONE_MODEL = {"tag_concurrency_limits": [{"key": MODEL_TAG, "limit": 1}]}


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """Return the executor of every job.

    Steps share one process by default: the stages fan out over their own workers, and the models are loaded once. On Ray it is
    the same, because shards are Ray's tasks and not steps (`assets.engine.ray_shards`).

    Args:
        settings: The settings in force.

    Raises:
        WrongUse: The executor's package is not installed.
    """
    kind = settings.run.executor
    if kind == "ray":
        require("ray", extra="ray", setting='run.executor = "ray"')
    if kind == "multiprocess":
        return dg.multiprocess_executor.configured(ONE_MODEL)
    if kind == "k8s":
        require("dagster_k8s", extra="k8s", setting='run.executor = "k8s"')
        from dagster_k8s import k8s_job_executor

        return k8s_job_executor.configured(pods_of(settings.kubernetes))
    return dg.in_process_executor


def pods_of(kubernetes: Kubernetes) -> dict[str, Any]:
    """Return the configuration of Dagster's executor for Kubernetes: image, memory and GPUs of every step's pod.

    Args:
        kubernetes: Section `[kubernetes]` of the settings.
    """
    given = {
        "job_image": kubernetes.image,
        "job_namespace": kubernetes.namespace,
        "service_account_name": kubernetes.service_account,
        "env_secrets": kubernetes.secrets,
    }
    steps = sorted({*kubernetes.memory_of, *kubernetes.gpus})
    return {
        **{name: value for name, value in given.items() if value},
        **ONE_MODEL,
        "step_k8s_config": {"container_config": {"resources": _resources(kubernetes, "")}},
        "per_step_k8s_config": {
            step: {
                "container_config": {"resources": _resources(kubernetes, step)},
                **({"pod_spec_config": {"node_selector": kubernetes.node_selector}} if step in kubernetes.gpus else {}),
            }
            for step in steps
        },
    }


def _resources(kubernetes: Kubernetes, step: str) -> dict[str, dict[str, str]]:
    memory = kubernetes.memory_of.get(step, kubernetes.memory)
    gpus = kubernetes.gpus.get(step, 0)
    limits = {"memory": memory} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    return {"requests": {"cpu": kubernetes.cpu, "memory": memory}, "limits": limits}
