"""Keep oneDNN from AMX on processors that compute wrong with it. Runs before torch, so it imports little."""

import os

VARIABLE = "ONEDNN_MAX_CPU_ISA"
"""Environment variable that oneDNN, the library inside torch, reads once at its first computation."""
WITHOUT_AMX = "AVX512_CORE_BF16"
"""The newest instructions before AMX; bfloat16 stays fast on them."""

_OLDER_VARIABLE = "DNNL_MAX_CPU_ISA"  # oneDNN reads it if the other is absent
_PROCESSOR = "/proc/cpuinfo"
_BUFFER_BYTES = 4096  # the first of many processors is enough; the kernel writes the file as it is read


def keep_onednn_from_amx() -> None:
    """Limit oneDNN on a processor with AMX, unless the user has set a limit.

    With AMX, oneDNN 3.12 (torch 2.13) computes wrong convolutions in bfloat16, in shapes that occur in our encoders.
    """
    if onednn_limit() is None and has_amx():
        os.environ[VARIABLE] = WITHOUT_AMX


def has_amx() -> bool:
    """True if the processor reports AMX. False if the system does not tell; only Linux does, in a file."""
    try:
        with open(_PROCESSOR, encoding="utf-8", errors="replace", buffering=_BUFFER_BYTES) as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return False
    return any(flag.startswith("amx_") for flag in flags.split())


def onednn_limit() -> str | None:
    """Limit of oneDNN from the environment; None if there is no limit."""
    return os.environ.get(VARIABLE) or os.environ.get(_OLDER_VARIABLE)
