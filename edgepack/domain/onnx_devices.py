"""Where onnxruntime must not run, by a device's profile, and why; models are not its business."""

from edgepack.domain.profile import Isa, Profile

_PROCESSORS = ("aarch64", "x86_64")
_BASE = 128 << 20
"""Bytes that a profile must give a model: Python with its packages takes 48 MiB, the smallest encoders 60 more."""


def why_no_onnx(profile: Profile) -> str | None:
    """What is in the way, in one clause; None where an encoder's bundle runs.

    onnxruntime's wheels are for 64-bit Arm and x86, and for glibc. Its 8-bit kernels on Arm need dotprod: without it
    they fall back on float32, about 16 times slower (seen under qemu), and old ones died on Cortex-A53 and A72.
    """
    runtime = profile.runtime
    processor = runtime.target.partition("-")[0]
    if processor not in _PROCESSORS:
        return f"onnxruntime has no build for {processor}"
    if runtime.os == "android":
        return "Android has no Python and no glibc, which onnxruntime's packages need"
    if runtime.os != "linux":
        return f"bundles of encoders run on Linux, not on {runtime.os}"
    if "musl" in runtime.abi:
        return "onnxruntime has no build for musl"
    if processor == "aarch64" and Isa.DOTPROD not in profile.isa:
        return "its CPU has no dotprod, without which onnxruntime's 8-bit kernels are about 16 times slower"
    if profile.memory_budget < _BASE:
        return f"it gives a model {profile.memory_budget >> 20} MiB; Python with onnxruntime needs {_BASE >> 20} MiB"
    return None
