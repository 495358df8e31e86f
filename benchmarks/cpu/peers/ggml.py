"""ggml's flash attention, through ctypes, on a thread pool that stays.

Its shared objects are searched in the folder of the variable GGML, and in the
package of llama-cpp-python.  Where a build has one CPU library for each kind of
processor, the one that scores highest here is taken, as its loader does.
"""

import contextlib
import ctypes
import glob
import importlib.util
import math
import os

import numpy as np

from data import Data, attends, widened
from peers import Case

TYPES = {"f32": 0, "f16": 1, "bf16": 30}  # enum ggml_type
F32, F16 = 0, 1
PRECISION_F32 = 10  # enum ggml_prec

size_t, pointer, int64 = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64


class InitParameters(ctypes.Structure):
    _fields_ = [("mem_size", size_t), ("mem_buffer", pointer), ("no_alloc", ctypes.c_bool)]


class Plan(ctypes.Structure):
    # The end leaves room for fields that later versions have.
    _fields_ = [("work_size", size_t), ("work_data", pointer), ("n_threads", ctypes.c_int),
                ("threadpool", pointer), ("later", ctypes.c_char * 64)]


def folders():
    if os.environ.get("GGML"):
        yield os.environ["GGML"]
    package = importlib.util.find_spec("llama_cpp")
    if package and package.origin:
        yield os.path.join(os.path.dirname(package.origin), "lib")


def score(path):
    """0 for a library that cannot run here."""
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return 0
    try:
        return library.ggml_backend_score()
    except AttributeError:
        return 1  # the only one of its build


class Library:
    """The functions in use, with their types."""

    def __init__(self):
        for folder in folders():
            base = sorted(glob.glob(os.path.join(folder, "libggml-base*.so*")))
            cpu = sorted(glob.glob(os.path.join(folder, "libggml-cpu*.so*")))
            if base and cpu:
                break
        else:
            raise ImportError("no libggml-base.so and libggml-cpu.so")
        self.folder = folder
        self.libraries = [ctypes.CDLL(base[0], mode=ctypes.RTLD_GLOBAL)]
        best = max(cpu, key=score)
        if score(best) == 0:
            raise ImportError(f"{best} does not load")
        self.libraries.append(ctypes.CDLL(best))
        for name, result, *arguments in (
                ("ggml_init", pointer, InitParameters),
                ("ggml_free", None, pointer),
                ("ggml_new_tensor_4d", pointer, pointer, ctypes.c_int, int64, int64, int64, int64),
                ("ggml_view_4d", pointer, pointer, pointer, int64, int64, int64, int64, size_t,
                 size_t, size_t, size_t),
                ("ggml_get_data", pointer, pointer),
                ("ggml_nbytes", size_t, pointer),
                ("ggml_flash_attn_ext", pointer, pointer, pointer, pointer, pointer, pointer,
                 ctypes.c_float, ctypes.c_float, ctypes.c_float),
                ("ggml_flash_attn_ext_set_prec", None, pointer, ctypes.c_int),
                ("ggml_new_graph_custom", pointer, pointer, size_t, ctypes.c_bool),
                ("ggml_build_forward_expand", None, pointer, pointer),
                ("ggml_threadpool_params_init", None, pointer, ctypes.c_int),
                ("ggml_threadpool_new", pointer, pointer),
                ("ggml_threadpool_free", None, pointer),
                ("ggml_graph_plan", Plan, pointer, ctypes.c_int, pointer),
                ("ggml_graph_compute", ctypes.c_int, pointer, ctypes.POINTER(Plan)),
                ("ggml_cpu_init", None)):
            function = self.find(name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.ggml_cpu_init()

    def find(self, name):
        for library in self.libraries:
            with contextlib.suppress(AttributeError):
                return getattr(library, name)
        raise ImportError(f"no function {name} in {self.folder}")

    def bytes_of(self, tensor):
        data = ctypes.cast(self.ggml_get_data(tensor), ctypes.POINTER(ctypes.c_uint8))
        return np.ctypeslib.as_array(data, (self.ggml_nbytes(tensor),))

    def tensor(self, context, kind, array):
        """A tensor with the array's elements; its first dimension is the
        innermost."""
        extents = (1,) * (4 - array.ndim) + array.shape
        tensor = self.ggml_new_tensor_4d(context, kind, *extents[::-1])
        self.bytes_of(tensor)[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return tensor


library = None


def version():
    global library
    library = Library()
    return f"in {os.path.basename(library.folder) or library.folder}"


def mask_of(shape):
    """f16 [batch, 1, tokens in 64s, keys]: 0 or -inf."""
    rows = -(-shape.tokens // 64) * 64
    mask = np.full((shape.batch, 1, rows, shape.keys), -np.inf, np.float16)
    mask[:, 0, :shape.tokens][attends(shape)] = 0
    return mask


def cases(shape, threads, count):
    kinds = ("f32",) if shape.type == "f32" else ("f16", "bf16")
    for kind in kinds:
        yield from flash_attention(shape, threads, count, kind)


def flash_attention(shape, threads, count, kind):
    data = Data(shape, kind)
    room = (shape.buffer_bytes() + (1 << 16)) * (count + 1) + (64 << 20) \
        + shape.batch * shape.keys * 64 * (2 + shape.tokens)
    context = library.ggml_init(InitParameters(room, None, False))
    parameters = ctypes.create_string_buffer(4096)
    library.ggml_threadpool_params_init(parameters, threads)
    pool = library.ggml_threadpool_new(parameters)
    query = library.tensor(context, F32, widened(data.query).transpose(0, 2, 1, 3))
    mask = None
    if shape.tokens > 1 or shape.is_ragged or shape.window:
        mask = library.tensor(context, F16, mask_of(shape))
    outputs, calls, kept = [], [], []
    for _ in range(count):
        key = library.tensor(context, TYPES[kind], data.key)
        if shape.value:
            row = shape.depth * data.key.itemsize
            value = library.ggml_view_4d(
                context, key, shape.columns, shape.keys, shape.kv_heads, shape.batch, row,
                row * shape.keys, row * shape.keys * shape.kv_heads, 0)
        else:
            value = library.tensor(context, TYPES[kind], data.value)
        output = library.ggml_flash_attn_ext(context, query, key, value, mask,
                                             1 / math.sqrt(shape.depth), 0, 0)
        library.ggml_flash_attn_ext_set_prec(output, PRECISION_F32)
        graph = library.ggml_new_graph_custom(context, 16, False)
        library.ggml_build_forward_expand(graph, output)
        plan = library.ggml_graph_plan(graph, threads, pool)
        work = ctypes.create_string_buffer(plan.work_size + 64)
        plan.work_data = ctypes.addressof(work)
        outputs.append(output)
        kept.append((plan, work))
        calls.append(lambda graph=graph, plan=plan:
                     library.ggml_graph_compute(graph, ctypes.byref(plan)))

    def result():
        if calls[0]() != 0:
            raise RuntimeError("ggml_graph_compute failed")
        numbers = library.bytes_of(outputs[0]).view(np.float32)
        return numbers.reshape(shape.batch, shape.tokens, shape.heads, shape.columns).copy()

    try:
        yield Case(f"ggml {kind}", kind, calls, result)
    finally:
        library.ggml_threadpool_free(pool)
        library.ggml_free(context)
