"""Measuring on a device, as the rest of edgepack may call it."""

from edgepack.stages.device_bench.asking import asker
from edgepack.stages.device_bench.measuring import bench_device
from edgepack.stages.device_bench.program import BenchProgram, find_bench
from edgepack.stages.device_bench.ready import DeviceBench, RuntimeFor, memory_need, prepared
from edgepack.stages.device_bench.tuning import tuning_subject

__all__ = [
    "BenchProgram", "DeviceBench", "RuntimeFor", "asker", "bench_device", "find_bench", "memory_need", "prepared",
    "tuning_subject",
]  # fmt: skip
