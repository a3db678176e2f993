"""The app that a bundle rides in, out of an order: refused before anything large is made."""

from edgepack.domain.bundle import Format
from edgepack.domain.errors import UsageError
from edgepack.domain.native import UNIFIED, NativeRuntime
from edgepack.domain.progress import Progress
from edgepack.formats.apk_reader import SUFFIX
from edgepack.infra.android import android_tools, debug_key
from edgepack.infra.store import Store, home
from edgepack.pipeline.order import Order
from edgepack.stages.app import build_app, check_server
from edgepack.stages.bundle import SignedApp


def signed_app(runtime: NativeRuntime | None, order: Order, progress: Progress) -> SignedApp:
    """The compiled app and its key, after its program was found to be one that Android lets run.

    Raises UsageError where tools or programs are missing, BadInputError for a program that Android would end.
    """
    assert order.format is Format.APK
    if order.out and order.out.suffix != SUFFIX:
        raise UsageError(f"--out {order.out}: an app's name ends in {SUFFIX}", hint=f"--out {order.out}{SUFFIX}")
    programs = {file.name: file.path for file in runtime.files} if runtime else {}
    if set(programs) != {UNIFIED}:
        raise UsageError(
            f"--format apk: needs llama.cpp's one program, `{UNIFIED}`, and no other",
            hint="leave --runtime and --route away",
        )
    tools = android_tools()
    never_made = check_server(programs[UNIFIED])
    progress.step(f"every system call of {UNIFIED} is on the list of apps, or never made ({', '.join(never_made)})")
    app = build_app(tools, store=Store(home()), offline=order.offline, progress=progress)
    return SignedApp(app=app, key=order.release_key or debug_key(tools))


def refuse_encoder(order: Order) -> None:
    """The app starts llama.cpp, which runs no ONNX file. Raises UsageError."""
    if order.format is Format.APK:
        raise UsageError("--format apk: the app runs no ONNX encoder", hint="take --format dir or tar for it")
