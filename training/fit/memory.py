"""Running out of memory in a training: recognised, and freed before it is tried again."""


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out."""
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def free_memory() -> None:
    """Give back what is no longer used."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
