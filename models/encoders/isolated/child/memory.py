"""Recognition of memory errors that PyTorch raises as a plain RuntimeError or as a CUDA error, by their text."""

_WORDS = (
    "can't allocate memory",  # the CPU's allocator
    "CUDA error: out of memory",  # memory outside PyTorch's allocator: contexts, kernels, graphs
    "CUBLAS_STATUS_ALLOC_FAILED",  # workspaces of CUDA's libraries
    "CUDNN_STATUS_ALLOC_FAILED",
)


def lacks_memory(message):
    """Return whether an error's message says that memory ran out."""
    return any(words in message for words in _WORDS)
