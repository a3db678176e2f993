"""A device's text becomes what it names, and comes back the same."""

import pytest

from edgepack.domain.device import AdbDevice, LocalDevice, SshDevice, parse_device
from edgepack.domain.errors import UsageError

SPELLINGS = {
    "local": LocalDevice(),
    "ssh://pi": SshDevice(host="pi"),
    "ssh://root@10.0.0.7:2222": SshDevice(host="10.0.0.7", user="root", port=2222),
    "ssh://[fe80::1%eth0]:22": SshDevice(host="fe80::1%eth0", port=22),
    "ssh://firmware.build@board-1.lab.example": SshDevice(host="board-1.lab.example", user="firmware.build"),
    "adb://": AdbDevice(),
    "adb://R58M123ABC": AdbDevice(serial="R58M123ABC"),
    "adb://192.168.1.5:5555": AdbDevice(serial="192.168.1.5:5555"),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_device_is_parsed_and_rendered(text: str) -> None:
    assert parse_device(text) == SPELLINGS[text]
    assert str(SPELLINGS[text]) == text


def test_a_slash_after_the_host_is_borne_with() -> None:
    assert parse_device("ssh://pi/") == SshDevice(host="pi")


@pytest.mark.parametrize(
    "text",
    [
        "", "pi", "Local", "http://pi", "ssh:pi", "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@pi", "ssh://pi:0",
        "ssh://pi:65536", "ssh://pi:x", "ssh://pi/home", "ssh://a b", "ssh://`id`", "ssh://$(id)@pi", "ssh://[x]",
        "ssh://fe80::1", "ssh://pi\n", "ssh://pi;id", "adb://-s", "adb://a b", "adb://$x",
    ],
)  # fmt: skip
def test_what_names_no_device_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_device(text)
    assert "ssh://[user@]host[:port]" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["ssh://pi:sesame@board", "ssh://pi:se:same@board:22", "http://pi:sesame@board", "ssh:pi:sesame@board"]
)
def test_a_password_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_device(text)
    assert "same" not in caught.value.what + caught.value.hint
