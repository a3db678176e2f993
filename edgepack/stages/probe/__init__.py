"""Probing a device, as the rest of edgepack may call it."""

from edgepack.stages.probe.probing import Measuring, probe
from edgepack.stages.probe.program import bandwidth_program
from edgepack.stages.probe.reading import read_bandwidth

__all__ = ["Measuring", "bandwidth_program", "probe", "read_bandwidth"]
