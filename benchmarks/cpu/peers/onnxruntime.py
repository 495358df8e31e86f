"""ONNX Runtime: com.microsoft.GroupQueryAttention with past and present in one
buffer, as its generation loop uses it, and the Attention op of ONNX.

Neither has CPU kernels for bf16: such shapes are timed in f16 and in f32.
"""

import numpy as np

from data import NUMPY, Data, attends, copies
from peers import Case


def version():
    import onnx  # the graphs are built with it
    import onnxruntime
    return f"{onnxruntime.__version__} (onnx {onnx.__version__})"


class Graph:
    """A session of a single node whose inputs and outputs are bound in place."""

    def __init__(self, node, inputs, outputs, threads, opsets):
        import onnxruntime
        from onnx import helper

        def infos(tensors):
            return [helper.make_tensor_value_info(name, kind, dimensions)
                    for name, kind, dimensions in tensors]

        graph = helper.make_graph([node], "attention", infos(inputs), infos(outputs))
        model = helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid(domain, number) for domain, number in opsets])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])
        self.kept = []

    def bind(self, inputs, outputs):
        binding = self.session.io_binding()
        for name, tensor in inputs.items():
            binding.bind_ortvalue_input(name, tensor)
        for name, tensor in outputs.items():
            binding.bind_ortvalue_output(name, tensor)
        self.kept.append((inputs, outputs))
        return lambda: self.session.run_with_iobinding(binding)


def value_of(array):
    import onnxruntime
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), "cpu")


def cases(shape, threads, count):
    for kind in ("f32",) if shape.type == "f32" else ("f16", "f32"):
        count_here = count if kind != "f32" or shape.type == "f32" else max(2, count // 2)
        if not shape.value and not shape.window:
            yield group_query(shape, kind, threads, count_here)
        yield attention(shape, kind, threads, count_here)


def onnx_type(kind):
    from onnx import TensorProto
    return {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16}[kind]


def group_query(shape, kind, threads, count):
    from onnx import TensorProto, helper
    element, data = onnx_type(kind), Data(shape, kind)
    node = helper.make_node(
        "GroupQueryAttention", ["query", "key", "value", "past_key", "past_value", "last", "total"],
        ["output", "present_key", "present_value"], domain="com.microsoft",
        num_heads=shape.heads, kv_num_heads=shape.kv_heads)
    flat, cache = ["b", "t", None], ["b", "g", "m", "d"]
    graph = Graph(
        node,
        [("query", element, flat), ("key", element, flat), ("value", element, flat),
         ("past_key", element, cache), ("past_value", element, cache),
         ("last", TensorProto.INT32, ["b"]), ("total", TensorProto.INT32, [1])],
        [("output", element, flat), ("present_key", element, cache),
         ("present_value", element, cache)],
        threads, [("", 21), ("com.microsoft", 1)])
    # The new tokens' rows stand in the cache already; it writes the same there.
    new = [np.stack([rows[b, :, valid - shape.tokens:valid].transpose(1, 0, 2)
                     .reshape(shape.tokens, -1) for b, valid in enumerate(shape.valid)])
           for rows in (data.key, data.value)]
    fixed = {"query": value_of(data.query.reshape(shape.batch, shape.tokens, -1)),
             "key": value_of(new[0]), "value": value_of(new[1]),
             "last": value_of(np.array(shape.valid, np.int32) - 1),
             "total": value_of(np.array([max(shape.valid)], np.int32))}
    output = value_of(np.empty((shape.batch, shape.tokens, shape.heads * shape.depth), NUMPY[kind]))
    calls = []
    for key, value in zip(copies(data.key, count), copies(data.value, count)):
        key, value = value_of(key), value_of(value)
        calls.append(graph.bind({**fixed, "past_key": key, "past_value": value},
                                {"output": output, "present_key": key, "present_value": value}))

    def result():
        calls[0]()
        return output.numpy().astype(np.float32).reshape(shape.batch, shape.tokens, shape.heads, -1)

    return Case(f"ONNX Runtime GQA {kind}", kind, calls, result)


def attention(shape, kind, threads, count):
    from onnx import TensorProto, helper
    element, data = onnx_type(kind), Data(shape, kind)
    has_mask = shape.tokens > 1 or shape.is_ragged or bool(shape.window)
    node = helper.make_node("Attention", ["query", "key", "value"] + ["mask"] * has_mask, ["output"])
    inputs = [("query", element, ["b", "h", "t", "d"]), ("key", element, ["b", "g", "m", "d"]),
              ("value", element, ["b", "g", "m", "e"])]
    fixed = {"query": value_of(data.query.transpose(0, 2, 1, 3))}
    if has_mask:
        inputs.append(("mask", TensorProto.BOOL, ["b", "one", "t", "m"]))
        fixed["mask"] = value_of(attends(shape)[:, None])
    graph = Graph(node, inputs, [("output", element, ["b", "h", "t", "e"])], threads, [("", 23)])
    output = value_of(np.empty((shape.batch, shape.heads, shape.tokens, shape.columns), NUMPY[kind]))
    value = np.ascontiguousarray(data.value)  # the op takes no columns of the key
    calls = [graph.bind({**fixed, "key": value_of(x), "value": value_of(y)}, {"output": output})
             for x, y in zip(copies(data.key, count), copies(value, count))]

    def result():
        calls[0]()
        return output.numpy().astype(np.float32).transpose(0, 2, 1, 3)

    return Case(f"ONNX Runtime Attention {kind}", kind, calls, result)
