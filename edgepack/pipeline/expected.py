"""What the profile's device will do with a task's requests, for weights that no table lists."""

from edgepack.convert.memory import memory_shape
from edgepack.convert.outline import Outline
from edgepack.convert.work import outlined_work
from edgepack.domain.memory import Need, buffers
from edgepack.domain.profile import Profile
from edgepack.domain.speed import SpeedPlan, predicted
from edgepack.domain.weights import Weights
from edgepack.engines.onnxruntime_work import encoder_work
from edgepack.pipeline.order import Planned
from edgepack.stages.convert import Opened, mixture_of
from edgepack.stages.pick import device_speed


def expected_encoding(weights: Weights, profile: Profile, *, prompt: int) -> SpeedPlan | None:
    """With texts of `prompt` tokens, as llama.cpp would take for an encoder of these sizes: onnxruntime takes less.

    Nothing is written, so tokens a second mean nothing. None where the profile says too little.
    """
    speed = device_speed(profile)
    return predicted(encoder_work(weights.path), speed, prompt=prompt, kv_read=0) if speed else None


def expected_speed(planned: Planned, *, prompt: int, answer: int) -> SpeedPlan | None:
    """With `prompt` tokens to read and `answer` to write; None where the profile or the weights say too little."""
    speed, quant, opened = device_speed(planned.profile), planned.plan.chosen.gguf_quant, planned.material
    if speed is None or quant is None or not isinstance(opened, Opened) or not isinstance(opened.conversion, Outline):
        return None
    outline = opened.conversion
    kept = buffers(memory_shape(outline), Need(context=prompt + answer // 2)).kv_cache
    return predicted(outlined_work(outline, mixture_of(quant, opened.tuning)), speed, prompt=prompt, kv_read=kept)
