"""Names of the files of a bank's version."""

MEMBERS = "members.npz"
VECTORS = {"content": "content.faiss", "temporal": "temporal.faiss"}  # FAISS flat indexes


def lists_file(name: str, shard: int | None = None) -> str:
    """Return the name of an approximate index.

    Args:
        name: "content" or "temporal".
        shard: Number of the shard; None if the bank is not divided.

    Example:
        >>> lists_file("content"), lists_file("temporal", 3)
        ('content_lists.faiss', 'temporal_lists_0003.faiss')
    """
    return f"{name}_lists.faiss" if shard is None else f"{name}_lists_{shard:04}.faiss"
