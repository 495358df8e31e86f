"""The PagedAttention op of OpenVINO, which its serving pipelines run.

The cache is blocks of 32 keys; the new tokens' rows are written into it by each
call.  Query and new rows are f32, K and V of the cache bf16 or f16.
"""

import math

import numpy as np

from data import Data, copies, widened
from peers import Case, Unsupported

BLOCK = 32


def version():
    import openvino
    from openvino.op import _PagedAttentionExtension  # noqa: F401
    return openvino.__version__


def model(shape, kind):
    """The op alone, with what serving needs of its 28 inputs."""
    import openvino
    from openvino import opset13 as ops
    from openvino.op import _PagedAttentionExtension as PagedAttention
    element = {"bf16": openvino.Type.bf16, "f16": openvino.Type.f16, "f32": openvino.Type.f32}[kind]
    parameters = []

    def parameter(name, dimensions, kind=np.int32):
        parameters.append(ops.parameter(dimensions, kind, name=name))
        return parameters[-1]

    def number(value, kind=np.int32):
        return ops.constant(kind(value))

    def nothing(kind=np.int32):
        return ops.constant(np.zeros(0, kind))

    cache = [-1, shape.kv_heads, BLOCK, shape.depth]
    inputs = [
        parameter("query", [-1, shape.heads * shape.depth], np.float32),
        parameter("key", [-1, shape.kv_heads * shape.depth], np.float32),
        parameter("value", [-1, shape.kv_heads * shape.depth], np.float32),
        parameter("key_cache", cache, element),
        parameter("value_cache", cache, element),
        parameter("past_lens", [-1]),
        parameter("subsequence_begins", [-1]),
        parameter("block_indices", [-1]),
        parameter("block_indices_begins", [-1]),
        number(1 / math.sqrt(shape.depth), np.float32),
        number(shape.window),
        nothing(np.float32),  # ALiBi slopes
        parameter("max_context_len", []),
        # Off: scores of tokens, rotation of blocks, sparse attention, sinks, eviction.
        ops.constant(np.zeros(shape.batch, np.int32)), nothing(), nothing(), nothing(np.float32),
        nothing(np.float32), number(0), number(0), nothing(np.float32),
        number(0), nothing(), nothing(), nothing(), nothing(), nothing(np.uint8), nothing(),
    ]
    node = PagedAttention([value.output(0) for value in inputs])
    for name, value in (("num_k_heads", shape.kv_heads), ("num_v_heads", shape.kv_heads),
                        ("k_head_size", shape.depth), ("v_head_size", shape.depth)):
        node.rt_info[name] = value
    return openvino.Model([ops.result(node.output(0))], parameters, "attention")


def blocks_of(rows, shape):
    """[batch, kv heads, keys, depth] to [blocks, kv heads, BLOCK, depth]."""
    result = []
    for b, valid in enumerate(shape.valid):
        count = -(-valid // BLOCK)
        padded = np.zeros((shape.kv_heads, count * BLOCK, shape.depth), rows.dtype)
        padded[:, :valid] = rows[b, :, :valid]
        result.append(padded.reshape(shape.kv_heads, count, BLOCK, -1).transpose(1, 0, 2, 3))
    return np.concatenate(result)


def new_rows(rows, shape):
    """The new tokens' rows, in f32: [tokens of all sequences, kv heads * depth]."""
    return np.concatenate([
        widened(rows[b, :, valid - shape.tokens:valid]).transpose(1, 0, 2).reshape(shape.tokens, -1)
        for b, valid in enumerate(shape.valid)])


def cases(shape, threads, count):
    import openvino
    if shape.value:
        raise Unsupported("its value is a tensor of its own")
    kind = shape.type
    # A hint rounds the products of f32 to bf16 on CPUs that have them.
    precision = "f32" if kind == "f32" else "bf16"
    compiled = openvino.Core().compile_model(model(shape, kind), "CPU", {
        "INFERENCE_PRECISION_HINT": precision, "KV_CACHE_PRECISION": kind,
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"})
    data = Data(shape, kind)
    element = {"bf16": openvino.Type.bf16, "f16": openvino.Type.f16, "f32": openvino.Type.f32}[kind]
    caches = [copies(blocks_of(rows, shape), count) for rows in (data.key, data.value)]
    counts = [-(-valid // BLOCK) for valid in shape.valid]
    tokens = shape.batch * shape.tokens
    fixed = {
        "query": widened(data.query).reshape(tokens, -1),
        "key": new_rows(data.key, shape), "value": new_rows(data.value, shape),
        "past_lens": np.array(shape.valid, np.int32) - shape.tokens,
        "subsequence_begins": np.arange(shape.batch + 1, dtype=np.int32) * shape.tokens,
        "block_indices": np.arange(sum(counts), dtype=np.int32),
        "block_indices_begins": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        "max_context_len": np.array(max(shape.valid), np.int32),
    }
    requests = []
    for key, value in zip(*caches):
        request = compiled.create_infer_request()
        for name, array in fixed.items():
            request.set_tensor(name, openvino.Tensor(np.array(array, order="C")))
        for name, array in (("key_cache", key), ("value_cache", value)):
            request.set_tensor(name, openvino.Tensor(array, array.shape, element))
        requests.append(request)

    def result():
        requests[0].infer()
        output = requests[0].get_output_tensor(0).data
        return np.array(output, np.float32).reshape(shape.batch, shape.tokens, shape.heads, -1)

    yield Case(f"OpenVINO paged {kind}", kind, [request.infer for request in requests], result)
