"""A lack of memory that PyTorch tells in words alone: as a plain RuntimeError, or as one of CUDA's own errors."""

_WORDS = (
    "can't allocate memory",  # of the CPU's allocator
    "CUDA error: out of memory",  # what isn't asked of PyTorch's allocator: contexts, kernels, graphs
    "CUBLAS_STATUS_ALLOC_FAILED",  # workspaces of CUDA's libraries
    "CUDNN_STATUS_ALLOC_FAILED",
)


def lacks_memory(said):
    """Whether an error's words say that memory ran out."""
    return any(words in said for words in _WORDS)
