"""The device side of adb on loopback: enough of it for the real adb client and server to run commands there.

It speaks the transport's packets (CNXN, AUTH, OPEN, OKAY, WRTE, CLSE), the shell service of version 2 with its
own exit codes and streams, and the one before Android 7: a terminal, whose client always ends with 0. It can be
cut off, fall silent, and refuse the computer.
"""

import os
import pty
import select
import shutil
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from subprocess import PIPE, Popen
from typing import IO

VERSION = 0x0100_0000
LARGEST = 1 << 18
"""Bytes of payload in one packet."""
_HEADER = struct.Struct("<6I")
_FRAME = struct.Struct("<BI")
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_TOKEN, _SIGNATURE = 1, 2
_CHUNK = 1 << 15


def _command(name: bytes) -> int:
    return int.from_bytes(name, "little")


CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = map(_command, (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE"))


class Gone(Exception):
    """The stream or its connection is closed."""


@dataclass(kw_only=True)
class Adbd:
    """A device that listens; `environment` is what its shell knows, PATH included."""

    environment: Mapping[str, str]
    shell: tuple[str, ...] = ("sh",)
    """What reads a command line after -c."""
    shell_v2: bool = True
    trusts: bool = True
    """Whether the computer is allowed without asking; else it waits for ever for somebody's touch."""
    honest: bool = True
    """Whether a command's status is told; else it is 0."""
    deaf: bool = field(default=False, init=False)
    _connections: "list[_Connection]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection at once, as a pulled cable does."""
        self.deaf = False
        for connection in self._connections:
            connection.close()
        self._connections = []

    def freeze(self) -> None:
        """Let every connection stand and say nothing, as when the network swallows all."""
        self.deaf = True

    def close(self) -> None:
        # A thread in accept() keeps the socket alive; shutdown wakes it.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = _Connection(self, self._listener.accept()[0])
                self._connections.append(connection)
                threading.Thread(target=connection.serve, daemon=True).start()


class _Connection:
    """One computer's connection, and its streams by our numbers."""

    def __init__(self, device: Adbd, peer: socket.socket) -> None:
        self.device = device
        self._peer = peer
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._count = 0
        self.payload = LARGEST

    def serve(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                command, first, second, length, _, _ = _HEADER.unpack(self._read(_HEADER.size))
                payload = self._read(length)
                while self.device.deaf:
                    threading.Event().wait(0.1)
                self._answer(command, first, second, payload)
        self.close()

    def send(self, command: int, first: int, second: int, payload: bytes = b"") -> None:
        header = _HEADER.pack(command, first, second, len(payload), sum(payload), command ^ 0xFFFF_FFFF)
        with self._sending:
            while self.device.deaf:
                threading.Event().wait(0.1)
            self._peer.sendall(header + payload)

    def close(self) -> None:
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()
        for stream in list(self._streams.values()):
            stream.close()

    def forget(self, number: int) -> None:
        self._streams.pop(number, None)

    def _answer(self, command: int, first: int, second: int, payload: bytes) -> None:
        stream = self._streams.get(second)
        if command == CNXN:
            self.payload = min(second, LARGEST)
            self._greet()
        elif command == AUTH and first == _SIGNATURE:
            self.send(AUTH, _TOKEN, 0, bytes(20))  # Not a key that is known here: let somebody touch the screen.
        elif command == OPEN:
            self._open(first, payload.rstrip(b"\0").decode())
        elif command == WRTE and stream:
            stream.arrived.put(payload)
            self.send(OKAY, second, first)
        elif command == OKAY and stream:
            stream.taken.release()
        elif command == CLSE and stream:
            stream.close()

    def _greet(self) -> None:
        if self.device.trusts:
            features = "shell_v2,cmd" if self.device.shell_v2 else "cmd"
            self.send(CNXN, VERSION, LARGEST, f"device::ro.product.name=fake;features={features}".encode())
        else:
            self.send(AUTH, _TOKEN, 0, bytes(20))

    def _open(self, theirs: int, service: str) -> None:
        kind, _, words = service.partition(":")
        self._count += 1
        stream = _Stream(self, self._count, theirs)
        if kind.split(",")[0] != "shell":
            self.send(CLSE, 0, theirs)
            return
        self._streams[self._count] = stream
        self.send(OKAY, self._count, theirs)
        serve = _shell_v2 if "v2" in kind.split(",") else _shell_v1
        threading.Thread(target=stream.serve, args=(serve, words), daemon=True).start()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._peer.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


class _Stream:
    """One service's two ways; a packet is taken before the next is sent."""

    def __init__(self, connection: _Connection, ours: int, theirs: int) -> None:
        self.connection = connection
        self._ours, self._theirs = ours, theirs
        self.arrived: SimpleQueue[bytes | None] = SimpleQueue()
        self.taken = threading.Semaphore(0)
        self._closed = threading.Event()
        self._writing = threading.Lock()
        self._rest = b""
        self.process: Popen[bytes] | None = None

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def serve(self, service: "_Service", words: str) -> None:
        with suppress(Gone, OSError):
            service(self, words)
        if not self._closed.is_set():
            with suppress(OSError):
                self.connection.send(CLSE, self._ours, self._theirs)
        self.connection.forget(self._ours)

    def read_some(self) -> bytes:
        piece = self.arrived.get()
        if piece is None:
            raise Gone
        return piece

    def write(self, data: bytes) -> None:
        with self._writing:
            for at in range(0, len(data), self.connection.payload):
                self.connection.send(WRTE, self._ours, self._theirs, data[at : at + self.connection.payload])
                self.taken.acquire()
                if self._closed.is_set():
                    raise Gone

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._rest += self.read_some()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """The other side is gone: as the real one, hang up on the process and on nothing that it started."""
        self._closed.set()
        self.arrived.put(None)
        self.taken.release(1 << 10)
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)


_Service = Callable[[_Stream, str], None]


def _shell_v2(stream: _Stream, words: str) -> None:
    """Three streams and the status in frames: one byte says which, four how long."""
    device = stream.connection.device
    with Popen(
        [*device.shell, "-c", words],
        env=device.environment, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        stream.process = process
        feeder = threading.Thread(target=_feed, args=(stream, process.stdin))
        pumps = [
            threading.Thread(target=_pump, args=(stream, source.fileno(), which))
            for source, which in ((process.stdout, _STDOUT), (process.stderr, _STDERR))
        ]
        for thread in (feeder, *pumps):
            thread.start()
        for pump in pumps:
            pump.join()
        if stream.closed:
            process.stdout.close()
            process.stderr.close()
        status = process.wait()
        code = status if status >= 0 else 128 - status
        with suppress(Gone, OSError):
            stream.write(_FRAME.pack(_EXIT, 1) + bytes([code if device.honest else 0]))
        stream.arrived.put(None)
        feeder.join()


def _feed(stream: _Stream, sink: IO[bytes]) -> None:
    with suppress(Gone, OSError):
        while True:
            which, size = _FRAME.unpack(stream.read(_FRAME.size))
            data = stream.read(size)
            if which == _STDIN:
                sink.write(data)
                sink.flush()
            elif which == _CLOSE_STDIN:
                break
    with suppress(OSError):
        sink.close()


def _pump(stream: _Stream, source: int, which: int) -> None:
    with suppress(Gone, OSError):
        while not stream.closed:
            if select.select([source], [], [], 0.1)[0]:
                data = os.read(source, _CHUNK)
                if not data:
                    return
                stream.write(_FRAME.pack(which, len(data)) + data)


def _shell_v1(stream: _Stream, words: str) -> None:
    """A terminal, as before Android 7: line ends change, what is typed is echoed, no status is told."""
    master, slave = pty.openpty()
    setsid = shutil.which("setsid")
    assert setsid
    process = Popen(
        [setsid, "--ctty", *stream.connection.device.shell, "-c", words],
        env=stream.connection.device.environment, stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    feeder = threading.Thread(target=_type, args=(stream, master))
    feeder.start()
    with suppress(Gone, OSError):
        while not stream.closed:
            if select.select([master], [], [], 0.1)[0]:
                stream.write(os.read(master, _CHUNK))  # EIO, once nobody holds the terminal
            elif process.poll() is not None:
                break
    stream.arrived.put(None)
    feeder.join()
    os.close(master)
    process.wait()


def _type(stream: _Stream, terminal: int) -> None:
    with suppress(Gone, OSError):
        while True:
            data = stream.read_some()
            while data:
                data = data[os.write(terminal, data) :]
