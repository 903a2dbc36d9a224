"""The choice of the device that searches a bank."""

from typing import Literal

import faiss

from storage.bank.lists import EXACT_UP_TO
from storage.durable import StoreError

Device = Literal["auto", "cpu", "gpu"]


def takes_gpu(device: Device, *, members: int) -> bool:
    """Return whether a GPU searches the bank.

    Args:
        device: "auto" takes a GPU for a bank of more than 200,000 members, where FAISS was built for GPUs and sees one.
        members: Number of members.

    Raises:
        storage.durable.StoreError: The device is "gpu", but FAISS sees none.
    """
    if device == "cpu":
        return False
    has_gpu = faiss.get_num_gpus() > 0
    if device == "gpu" and not has_gpu:
        if not hasattr(faiss, "StandardGpuResources"):
            raise StoreError(
                "bank.device is 'gpu', but the installed FAISS is built for CPUs: pip uninstall faiss-cpu, then "
                "pip install 'reelcast[gpu]'; or set bank.device to 'auto' or 'cpu'"
            )
        raise StoreError("bank.device is 'gpu', but FAISS sees no GPU; set bank.device to 'auto' or 'cpu'")
    return has_gpu and (device == "gpu" or members > EXACT_UP_TO)
