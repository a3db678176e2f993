"""This machine, read out of recorded trees of other machines, and out of the real one."""

import os
import sys
from pathlib import Path

import pytest

from edgepack.domain.errors import DeviceError
from edgepack.domain.profile import DeviceClass, parse_profile, profile_table
from edgepack.infra.cpuinfo import parse_cpu_list, parse_cpuinfo
from edgepack.infra.machine import (
    big_cpus,
    caches,
    fastest_first,
    host_profile,
    macos_profile,
    memory_available,
    parse_meminfo,
    parse_sysctl,
    parse_vm_stat,
)

XEON = """processor\t: {cpu}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Gold 6430 CPU @ 2.10GHz
cpu MHz\t\t: 3400.117
flags\t\t: fpu sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c bmi1 avx2 bmi2 avx512f avx512dq avx512bw avx512vbmi \
avx512_vnni avx_vnni avx512_bf16 amx_tile amx_int8
"""
CORTEX = """processor\t: {cpu}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: {part}
CPU revision\t: 1
"""
A76_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
MEMINFO = (
    "MemTotal:       {total} kB\nMemFree:          100 kB\nMemAvailable:   {free} kB\nHugePages_Total:       0\n"
)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def cpu_files(cpu: int, *, siblings: str, capacity: int | None = None, khz: int | None = None) -> dict[str, str]:
    directory = f"sys/devices/system/cpu/cpu{cpu}"
    files = {f"{directory}/topology/thread_siblings_list": f"{siblings}\n"}
    if capacity:
        files[f"{directory}/cpu_capacity"] = f"{capacity}\n"
    if khz:
        files[f"{directory}/cpufreq/cpuinfo_max_freq"] = f"{khz}\n"
    return files


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Four cores with two threads each, in a cgroup with 8 GiB and 2.5 CPUs inside one with 6 GiB."""
    text = "\n".join(XEON.format(cpu=cpu) for cpu in range(8))
    write(tmp_path, {
        "proc/cpuinfo": text,
        "proc/meminfo": MEMINFO.format(total=64 << 20, free=60 << 20),
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/memory.max": f"{6 << 30}\n",
        "sys/fs/cgroup/outer/memory.current": f"{1 << 30}\n",
        "sys/fs/cgroup/outer/memory.stat": "anon 5\ninactive_file 1000\nactive_file 7\n",
        "sys/fs/cgroup/outer/inner/memory.max": f"{8 << 30}\n",
        "sys/fs/cgroup/outer/inner/memory.current": "0\n",
        "sys/fs/cgroup/outer/inner/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/outer/cpu.max": "max 100000\n",
        "sys/class/dmi/id/chassis_type": "23\n",
    })  # fmt: skip
    for cpu in range(8):
        write(tmp_path, cpu_files(cpu, siblings=f"{cpu % 4},{cpu % 4 + 4}", khz=3_400_000))
    return tmp_path


@pytest.fixture
def pi5(tmp_path: Path) -> Path:
    """A Raspberry Pi 5: one kind of core, a device tree, no cgroup limits."""
    blocks = [CORTEX.format(cpu=cpu, features=A76_FEATURES, part="0xd0b") for cpu in range(4)]
    board = "Revision\t: d04170\nSerial\t\t: 0000000000000000\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
    write(tmp_path, {
        "proc/cpuinfo": "\n".join([*blocks, board]),
        "proc/meminfo": MEMINFO.format(total=8257280, free=7000000),
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/self/cgroup": "0::/user.slice\n",
        "sys/fs/cgroup/user.slice/memory.max": "max\n",
    })  # fmt: skip
    for cpu in range(4):
        write(tmp_path, cpu_files(cpu, siblings=str(cpu), capacity=1024, khz=2_400_000))
    return tmp_path


PHONE_CORES = (  # part, capacity, highest clock: three A510, four A715, one X3
    *(("0xd46", 325, 2_016_000),) * 3, *(("0xd4d", 840, 2_803_200),) * 4, ("0xd4e", 1024, 3_187_200),
)  # fmt: skip


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """A phone with little, mid and prime cores; the little ones lack nothing but bf16 here."""
    for cpu, (part, capacity, khz) in enumerate(PHONE_CORES):
        features = f"{A76_FEATURES} i8mm" + ("" if part == "0xd46" else " bf16")
        block = CORTEX.format(cpu=cpu, features=features, part=part)
        with_previous = (tmp_path / "proc/cpuinfo").read_text() + "\n" if cpu else ""
        write(tmp_path, {"proc/cpuinfo": with_previous + block})
        write(tmp_path, cpu_files(cpu, siblings=str(cpu), capacity=capacity, khz=khz))
    write(tmp_path, {
        "proc/meminfo": MEMINFO.format(total=7600000, free=3000000),
        "system/build.prop": "ro.product.model=example\n",
    })  # fmt: skip
    return tmp_path


def all_of(count: int) -> frozenset[int]:
    return frozenset(range(count))


def test_a_server_is_described_within_its_cgroup(server: Path) -> None:
    """Physical cores are counted, not threads; the tightest limit around the process is its memory."""
    profile = host_profile(server, allowed=all_of(8))
    assert profile.device_class is DeviceClass.COMPUTER
    assert profile.soc.text == "Intel(R) Xeon(R) Gold 6430 CPU @ 2.10GHz"
    assert [(cluster.count, cluster.mhz) for cluster in profile.clusters] == [(4, 3400)]
    assert {"avx2", "fma", "f16c", "avx_vnni", "avx512_vbmi", "avx512_vnni", "avx512_bf16", "amx_int8"} <= profile.isa
    assert profile.ram.gib.value == 6.0
    assert profile.memory_budget == int(4.5 * 2**30)
    assert profile.runtime_target == "x86_64-linux-musl-x86_64_v4+avxvnni+avx512vbmi+avx512vnni+avx512bf16"


def test_a_server_gives_one_cpu_a_core_and_no_more_than_its_quota(server: Path) -> None:
    assert big_cpus(server, allowed=all_of(8)) == (0, 1)
    (server / "sys/fs/cgroup/outer/inner/cpu.max").write_text("max 100000\n")
    assert big_cpus(server, allowed=all_of(8)) == (0, 1, 2, 3)


def test_a_quota_below_one_cpu_still_leaves_one(server: Path) -> None:
    (server / "sys/fs/cgroup/outer/cpu.max").write_text("50000 100000\n")
    assert big_cpus(server, allowed=all_of(8)) == (0,)


def test_affinity_decides_which_thread_stands_for_a_core(server: Path) -> None:
    (server / "sys/fs/cgroup/outer/inner/cpu.max").unlink()
    assert big_cpus(server, allowed=frozenset({3, 4, 5, 7})) == (3, 4, 5)
    assert [cluster.count for cluster in host_profile(server, allowed=frozenset({4, 5})).clusters] == [2]


def test_available_memory_is_the_least_that_any_cgroup_leaves(server: Path) -> None:
    """Cached file pages count as free: they go when memory is asked for."""
    assert memory_available(server) == (5 << 30) + 1000
    (server / "sys/fs/cgroup/outer/memory.current").write_text(f"{7 << 30}\n")
    assert memory_available(server) == 0


def test_a_pi_5_is_a_board_with_its_name(pi5: Path) -> None:
    profile = host_profile(pi5, allowed=all_of(4))
    assert profile.device_class is DeviceClass.BOARD
    assert profile.soc.text == "Raspberry Pi 5 Model B Rev 1.0"
    assert [(c.microarchitecture, c.count, c.mhz, c.big) for c in profile.clusters] == [("Cortex-A76", 4, 2400, True)]
    assert profile.isa == {"neon", "dotprod", "fp16"}
    assert profile.runtime_target == "aarch64-linux-musl-cortex_a76"
    assert profile.ram.gib.value == pytest.approx(7.875, abs=0.001)
    assert memory_available(pi5) == 7000000 * 1024
    assert big_cpus(pi5, allowed=all_of(4)) == (0, 1, 2, 3)


def test_a_phone_runs_on_its_mid_and_prime_cores(phone: Path) -> None:
    profile = host_profile(phone, allowed=all_of(8))
    assert profile.device_class is DeviceClass.PHONE
    assert profile.runtime.os == "android"
    assert [(c.microarchitecture, c.count, c.mhz, c.big) for c in profile.clusters] == [
        ("Cortex-X3", 1, 3187, True),
        ("Cortex-A715", 4, 2803, True),
        ("Cortex-A510", 3, 2016, False),
    ]
    assert big_cpus(phone, allowed=all_of(8)) == (3, 4, 5, 6, 7)


def test_a_phone_is_named_by_its_chip_and_its_prime_core_comes_first(phone: Path) -> None:
    assert fastest_first((3, 4, 7, 0), phone) == (7, 3, 4, 0)
    write(phone, {"system/soc": "Google Tensor G3\n"})
    assert host_profile(phone, allowed=all_of(8)).soc.text == "Google Tensor G3"
    write(phone, {"system/soc": " \n"})
    assert host_profile(phone, allowed=all_of(8)).soc.text == "Cortex-X3"


def test_shared_caches_are_counted_once_and_separate_ones_together(server: Path) -> None:
    """What a buffer must not fit into: two L3 of 32 MiB here, each beside smaller L2."""
    assert caches(server) == 0
    for cpu in range(8):
        place = f"sys/devices/system/cpu/cpu{cpu}/cache"
        write(server, {
            f"{place}/index2/size": "1024K\n", f"{place}/index2/shared_cpu_list": f"{cpu}\n",
            f"{place}/index3/size": "32768K\n", f"{place}/index3/shared_cpu_list": "0-3\n" if cpu < 4 else "4-7\n",
        })  # fmt: skip
    assert caches(server) == 64 << 20


def test_a_runtime_uses_only_what_every_allowed_core_has(phone: Path) -> None:
    """A thread may move to any of them, and one missing instruction ends the process."""
    assert "bf16" not in host_profile(phone, allowed=all_of(8)).isa
    assert "bf16" in host_profile(phone, allowed=frozenset({6, 7})).isa
    assert host_profile(phone, allowed=all_of(8)).runtime.cpu == "cortex_a76+i8mm"


def test_little_cores_alone_are_used_when_there_are_no_others(phone: Path) -> None:
    assert big_cpus(phone, allowed=frozenset({0, 1})) == (0, 1)


def test_clocks_tell_the_kinds_apart_where_there_are_no_capacities(server: Path) -> None:
    """More than 15 % slower is another kind; a favoured core that is a little faster is not."""
    (server / "sys/fs/cgroup/outer/inner/cpu.max").unlink()
    clocks = (5_000_000, 4_800_000, 3_800_000, 3_800_000)
    for cpu in range(8):
        write(server, cpu_files(cpu, siblings=f"{cpu % 4},{cpu % 4 + 4}", khz=clocks[cpu % 4]))
    assert big_cpus(server, allowed=all_of(8)) == (0, 1)
    assert [(c.mhz, c.big) for c in host_profile(server, allowed=all_of(8)).clusters] == [
        (5000, True), (4800, True), (3800, False),
    ]  # fmt: skip


def test_without_sys_every_cpu_is_a_core_and_the_name_gives_the_clock(tmp_path: Path) -> None:
    """The clock that /proc/cpuinfo shows changes from moment to moment, and would change every build."""
    write(tmp_path, {"proc/cpuinfo": "\n".join(XEON.format(cpu=cpu) for cpu in range(2))})
    assert big_cpus(tmp_path, allowed=all_of(2)) == (0, 1)
    write(tmp_path, {"proc/meminfo": MEMINFO.format(total=1 << 20, free=1)})
    assert [(c.count, c.mhz) for c in host_profile(tmp_path, allowed=all_of(2)).clusters] == [(2, 2100)]


def test_a_laptop_is_known_by_its_chassis(server: Path) -> None:
    write(server, {"sys/class/dmi/id/chassis_type": "10\n"})
    assert host_profile(server, allowed=all_of(8)).device_class is DeviceClass.LAPTOP


def test_a_machine_that_says_nothing_is_a_device_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="names no processor"):
        host_profile(tmp_path, allowed=all_of(2))


def test_a_probed_profile_reads_back_the_same(pi5: Path) -> None:
    profile = host_profile(pi5, allowed=all_of(4))
    assert parse_profile(profile_table(profile), name="host") == profile


def test_an_unknown_arm_core_is_named_by_its_numbers() -> None:
    block = CORTEX.format(cpu=0, features="asimd", part="0x001").replace("0x41", "0x7f")
    assert parse_cpuinfo(block)[0].microarchitecture == "implementer 0x7f part 0x001"


def test_a_risc_v_core_has_vectors_if_its_letters_say_so() -> None:
    block = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc{v}_zicsr_zvkt\nuarch\t\t: spacemit,x60\n"
    with_vectors, without = (parse_cpuinfo(block.format(v=v))[0] for v in ("v", ""))
    assert (with_vectors.architecture, with_vectors.microarchitecture) == ("riscv64", "spacemit,x60")
    assert with_vectors.features == {"rvv"}
    assert without.features == set()


def test_a_32_bit_kernel_is_armv7() -> None:
    block = CORTEX.format(cpu=0, features="half thumb neon vfpv4", part="0xd08").replace(
        "architecture: 8", "architecture: 7"
    )
    found = parse_cpuinfo(block)[0]
    assert (found.architecture, found.microarchitecture, found.features) == ("armv7", "Cortex-A72", {"neon"})


@pytest.mark.parametrize(("text", "cpus"), [("0-3,8\n", (0, 1, 2, 3, 8)), ("5", (5,)), ("0,4", (0, 4)), ("\n", ())])
def test_cpu_lists_have_ranges_and_single_numbers(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


def test_meminfo_is_in_bytes() -> None:
    assert parse_meminfo("MemTotal:  2 kB\nHugePages_Total:  3\n") == {"MemTotal": 2048}


SYSCTL = """hw.model: MacBookAir10,2
hw.memsize: 8589934592
hw.physicalcpu: 8
hw.perflevel0.physicalcpu: 4
hw.perflevel1.physicalcpu: 4
hw.optional.arm64: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
machdep.cpu.brand_string: Apple M2
"""


def test_a_mac_is_described_by_its_sysctl() -> None:
    profile = macos_profile(parse_sysctl(SYSCTL))
    assert (profile.soc.text, profile.device_class, profile.ram.gib.value) == ("Apple M2", DeviceClass.LAPTOP, 8)
    assert [(cluster.count, cluster.big) for cluster in profile.clusters] == [(4, True), (4, False)]
    assert profile.isa == {"neon", "dotprod", "fp16", "bf16", "i8mm"}
    assert profile.runtime_target == "aarch64-macos-apple_m1"


def test_vm_stat_counts_pages_that_are_free_or_soon_free() -> None:
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:   10.\nPages active:   99.\nPages inactive:   5.\nPages speculative:   1.\n"
    )
    assert parse_vm_stat(text) == 16 * 16384


@pytest.mark.skipif(sys.platform != "linux", reason="reads this machine's /proc")
def test_the_real_machine_is_described() -> None:
    profile = host_profile()
    cpus = big_cpus()
    assert profile.name == "host"
    assert profile.isa
    assert set(cpus) <= os.sched_getaffinity(0)
    assert 1 <= len(cpus) <= profile.big_cores
    assert 0 < memory_available() <= profile.ram.gib.value * 2**30 * 1.001
    assert host_profile() == profile
