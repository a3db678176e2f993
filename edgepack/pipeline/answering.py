"""What answers a task of a user's: a candidate's weights, or, of an encoder of vectors, with a head for the task."""

from edgepack.domain.encoder import Gives
from edgepack.domain.onnx_devices import why_no_onnx
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.task import Labels, Task
from edgepack.domain.weights import Weights
from edgepack.infra.store import Store, home
from edgepack.pipeline.order import Material, Order, Planned
from edgepack.pipeline.planning import weights_of
from edgepack.stages.encoder import AdoptedEncoder, OpenedEncoder
from edgepack.stages.head import head_for


def has_head_for(material: Material, task: Task) -> bool:
    """Whether what answers is not the material's own weights."""
    match material:
        case OpenedEncoder() | AdoptedEncoder():
            gives = material.described(OnnxQuant.Q8).gives
            return gives is Gives.VECTOR and isinstance(task.form, Labels)
        case _:
            return False


def answering_weights(planned: Planned, order: Order, task: Task, progress: Progress) -> Weights:
    """Out of the store, or made now; raises what `weights_of` and `head_for` raise."""
    weights = weights_of(planned, order, progress)
    if not has_head_for(planned.material, task):
        return weights
    return head_for(weights, task, store=Store(home()), threads=order.workers, progress=progress)


def ruled_out(planned: Planned) -> str | None:
    """Why the profile's device cannot run the candidate's engine; None where it can."""
    encoder = isinstance(planned.material, OpenedEncoder | AdoptedEncoder)
    return why_no_onnx(planned.profile) if encoder else None
