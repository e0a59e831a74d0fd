"""Where bf16 pays: autocast on devices that compute in it, plain fp32 everywhere else."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware. Asked of the device, never assumed."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _cpu_has_bf16()
    return False


def _cpu_has_bf16() -> bool:
    """AVX512-BF16 or AMX; oneDNN also *emulates* bf16 on older CPUs, which is slower than fp32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def autocast(device: torch.device, use_amp: bool) -> AbstractContextManager[object]:
    """bf16 autocast where `use_amp` asks for it and the device computes in bf16; otherwise nothing."""
    if use_amp and computes_bf16(device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def best_device() -> torch.device:
    """The GPU of this process (its local rank under torchrun) where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
