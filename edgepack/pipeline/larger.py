"""The larger model of a route, as far as a build has to do with it: opened, planned, and held against its record."""

from edgepack.domain.address import Address
from edgepack.domain.bundle import BundledModel, BundledRoute, LargeModel, LicenceName, RuntimeFlags
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.memory import need_of
from edgepack.domain.native import RuntimeChoice
from edgepack.domain.profile import Profile
from edgepack.domain.progress import Progress
from edgepack.domain.repacking import loading_of
from edgepack.domain.weights import Weights
from edgepack.infra.store import home
from edgepack.pipeline.order import LargePlanned, Order, Planned
from edgepack.stages.adopt import Adopted, adopt

_ROUTER = 2 << 20
"""Bytes; 1.5 MB were seen, on x86-64 after some requests."""
_AGAIN = "find the route of these two again: edgepack eval --route SMALL,LARGE --task T --out FILE"


def plan_large(order: Order, profile: Profile, flags: RuntimeFlags, progress: Progress) -> LargePlanned | None:
    """Open it, if there is one. Raises UsageError for what does not go together, BadInputError for other weights."""
    if order.route is None:
        return None
    if order.runtime is RuntimeChoice.NONE:
        raise UsageError("--route --runtime none: nothing would serve two models", hint="leave one of the two away")
    wanted, path = order.route.found.large, order.route.large
    if isinstance(wanted, Address):
        _check_address(wanted, has_file=path is not None)
        return None
    if path is None:
        raise UsageError("--route: the record names a larger model", hint="give its GGUF with --large")
    adopted = adopt(path, memo=home() / "digests", allow_over_3b=order.allow_over_3b, progress=progress)
    _check(adopted, wanted, flags)
    (candidate,) = adopted.candidates(None, need_of(flags), loading_of(profile.isa, flags))
    return LargePlanned(adopted=adopted, memory=candidate.memory.total)


def beside(order: Order, large: LargePlanned | None) -> tuple[tuple[str, int], ...]:
    """What a route needs beside the small model. Both models run at once: what is asked must not first be loaded."""
    if order.route is None:
        return ()
    return (*([("large_model", large.memory)] if large else []), ("router", _ROUTER))


def check_small(order: Order, weights: Weights) -> None:
    """The threshold is of one pair of weights: with others nobody knows what it gives."""
    if order.route and order.route.found.small != weights.sha256:
        raise BadInputError(f"--route: found with another small model than {weights.name}", hint=_AGAIN)


def bundled_route(order: Order, planned: Planned) -> BundledRoute | None:
    if order.route is None:
        return None
    found = order.route.found
    if isinstance(found.large, Address):
        large: Address | LargeModel = found.large
    else:
        assert planned.large is not None, "planned with the rest"
        large = _model(planned.large.adopted)
    return BundledRoute(calibration=found.calibration, threshold=found.threshold, large=large)


def _check_address(address: Address, *, has_file: bool) -> None:
    if has_file:
        raise UsageError(f"--large: the record's larger model is at {address}", hint="leave --large away")
    if not address.url.startswith("http://"):
        raise UsageError(
            f"--route: {address}: the router on the device speaks no TLS",
            hint="find the route to an http:// address: a gateway or proxy of yours that goes on by TLS",
        )


def _check(adopted: Adopted, wanted: str, flags: RuntimeFlags) -> None:
    if adopted.weights.sha256 != wanted:
        raise BadInputError(f"--large: {adopted.name} is not the larger model of the record", hint=_AGAIN)
    if flags.context > adopted.context_length:
        raise UsageError(
            f"--ctx {flags.context}: {adopted.name} was made for {adopted.context_length} tokens",
            hint=f"ask for {adopted.context_length} or fewer: both models read the same requests",
        )


def _model(adopted: Adopted) -> LargeModel:
    model = BundledModel(
        name=adopted.name,
        origin=adopted.origin,
        revision=None,
        architecture=adopted.weights.architecture,
        parameters=adopted.parameters,
        licence=LicenceName(name=adopted.licence, spdx=None),
    )
    return LargeModel(model=model, quantization=adopted.weights.gguf_quant)
