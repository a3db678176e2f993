"""What devices say of themselves: asked over every way there is, and unpacked into nothing but the tree."""

from pathlib import Path

import pytest

from edgepack.domain.errors import DeviceError
from edgepack.infra.load import governor, heat, throttled
from edgepack.infra.machine import big_cpus, host_profile, memory_available
from edgepack.transports.facts import gather, refresh, unpack
from edgepack.transports.protocol import Transport
from edgepack.transports.timed import Timed, run_timed

A76 = """processor\t: {cpu}
Features\t: fp asimd atomics fphp asimdhp asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0b
"""


def said(files: dict[str, str]) -> str:
    """As facts.sh would print these files."""
    return "".join(
        f"={name}\n" + "".join(f"|{line}\n" for line in text.splitlines()) + "\n" for name, text in files.items()
    )


def test_a_device_is_described_as_this_machine_describes_itself(device: Transport, tmp_path: Path) -> None:
    """All labs are this machine: the same profile, out of what the device's shell printed."""
    facts = gather(device, tmp_path / "device")
    assert host_profile(facts.root, allowed=facts.cpus) == host_profile(allowed=facts.cpus)
    assert big_cpus(facts.root, allowed=facts.cpus) == big_cpus(allowed=facts.cpus)
    assert memory_available(facts.root) == pytest.approx(memory_available(), rel=0.5)
    assert facts.machine in facts.system
    refresh(device, facts.root)
    assert memory_available(facts.root) > 0


def test_the_clocks_around_a_command_are_the_devices(device: Transport) -> None:
    """Its status and output arrive as without them, and a command's own work is not other programs'."""
    done = run_timed(device, ["sh", "-c", "echo out; echo err >&2; sleep 1; exit 7"], timeout=60.0)
    assert (done.status, done.stderr) == (7, "err\n")
    assert "out\n" in done.stdout
    busy = done.busy(None)
    assert busy is not None
    assert busy >= 0


def clocks(when: str, uptime: float, ticks: int) -> str:
    return f"#{when} uptime {uptime} 1.0\n#{when} cpu0 {ticks} 0 0 5 0 0 0 0 0 0\n#{when} cpu1 7 0 0 5 0 0 0 0 0 0\n"


def timed(own: str) -> Timed:
    """Ten seconds in which CPU 0 worked for eight."""
    text = clocks("before", 100.0, 1000) + "{}\n" + clocks("after", 110.0, 1800) + f"#times\n0m0.00s 0m0.00s\n{own}\n"
    return Timed(status=0, stdout=text, stderr="")


@pytest.mark.parametrize(
    ("own", "busy"),
    [
        ("0m5.00s 0m1.00s", 0.2),
        ("0m05.000000s 0m01.000000s", 0.2),
        ("0m0.000s 0m0.000s", 0.8),
        ("1m0.0s 0m0.0s", 0.0),
    ],
)
def test_others_work_is_all_work_but_the_commands(own: str, busy: float) -> None:
    assert timed(own).busy((0,)) == pytest.approx(busy)


def test_what_the_device_does_not_tell_is_not_made_up() -> None:
    """No /proc/stat, no such CPU, no `times`: nobody knows how busy it was."""
    assert Timed(status=0, stdout="{}\n", stderr="").busy(None) is None
    assert timed("0m5.00s 0m1.00s").busy((5,)) is None
    assert timed("nonsense").busy((0,)) is None


def test_a_raspberry_pi_5(tmp_path: Path) -> None:
    """Its cores, heat, governor, and what its firmware says of throttling."""
    cpus = "sys/devices/system/cpu"
    clock = {
        f"{cpus}/cpu{cpu}/cpufreq/{name}": value
        for cpu in range(4)
        for name, value in (("scaling_cur_freq", "1500000"), ("cpuinfo_max_freq", "2400000"))
    }
    unpack(said({
        "proc/cpuinfo": "\n".join(A76.format(cpu=cpu) for cpu in range(4)),
        "proc/meminfo": "MemTotal: 8257280 kB\nMemAvailable: 7000000 kB\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "61750",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50000",
        f"{cpus}/cpu0/cpufreq/scaling_governor": "ondemand", **clock,
    }), tmp_path)  # fmt: skip
    allowed = frozenset(range(4))
    found = host_profile(tmp_path, allowed=allowed)
    assert (found.soc.text, found.big_cores) == ("Raspberry Pi 5 Model B Rev 1.0", 4)
    assert memory_available(tmp_path) == 7_000_000 * 1024
    seen = heat((0, 1, 2, 3), root=tmp_path)
    assert (seen.celsius, seen.mhz, seen.mhz_limit) == (61.75, 1500.0, 2400.0)
    # 0x50000: it was throttled once, and is not now.
    assert throttled(seen, seen) is False
    assert governor((0,), root=tmp_path) == "ondemand"


def test_a_phone_that_shows_little(tmp_path: Path) -> None:
    """Where Android keeps heat and clocks from a shell they are unknown, and not zero."""
    unpack(said({
        "proc/cpuinfo": "\n".join(A76.format(cpu=cpu) for cpu in range(8)),
        "proc/meminfo": "MemTotal: 7600000 kB\nMemAvailable: 3000000 kB\n", "system/build.prop": "Pixel 8",
        **{f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": "325" if cpu < 4 else "1024" for cpu in range(8)},
    }), tmp_path)  # fmt: skip
    allowed = frozenset(range(8))
    assert big_cpus(tmp_path, allowed=allowed) == (4, 5, 6, 7)
    assert host_profile(tmp_path, allowed=allowed).runtime.os == "android"
    seen = heat((4, 5, 6, 7), root=tmp_path)
    assert (seen.celsius, seen.mhz, throttled(seen, seen)) == (None, None, None)
    assert governor((4,), root=tmp_path) is None


@pytest.mark.parametrize("name", ["../x", "proc/../../x", "/etc/x", "proc/./x", "home/x", "proc/a b", "proc/", ""])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="speaks of a file"):
        unpack(f"={name}\n|1\n", tmp_path / "root")
    assert not (tmp_path / "root").exists()
