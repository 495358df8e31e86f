"""The libraries that are timed beside Einhead, a module each.

A module has LIBRARY, the name that people know; INSTALL, how to get it;
version(), which raises where the library is not there; and
cases(shape, threads, copies), which yields its ways to compute the shape.  It
raises Unsupported where there is none.
"""

import dataclasses
import typing

NAMES = ("vllm", "pytorch", "openvino", "onnxruntime", "ggml", "iree")


class Unsupported(Exception):
    """The library has no such attention."""


@dataclasses.dataclass
class Case:
    """One way to compute a shape."""
    name: str
    kind: str  # element type of K and V
    calls: list  # one for each copy of the cache
    result: typing.Callable  # the output of copy 0: [batch, tokens, heads, columns], f32
