"""IREE: its attention op, compiled for this CPU and run on its task system."""

import math

import numpy as np

from data import Data
from peers import Case, Unsupported


GRAPH = """
func.func @attention(%q: {q}, %k: {k}, %v: {v}) -> {o} {{
  %scale = arith.constant {scale:.9e} : {element}
  %empty = tensor.empty() : {o}
  %output = iree_linalg_ext.attention <{{indexing_maps = [
      affine_map<(group, row, column, depth, key) -> (group, row, depth)>,
      affine_map<(group, row, column, depth, key) -> (group, key, depth)>,
      affine_map<(group, row, column, depth, key) -> (group, key, column)>,
      affine_map<(group, row, column, depth, key) -> ()>,
      affine_map<(group, row, column, depth, key) -> (group, row, column)>]}}>
      ins(%q, %k, %v, %scale : {q}, {k}, {v}, {element}) outs(%empty : {o}) {{
    ^bb0(%score: f32):
      iree_linalg_ext.yield %score : f32
  }} -> {o}
  return %output : {o}
}}
"""


def version():
    import importlib.metadata
    import iree.compiler  # noqa: F401
    import iree.runtime  # noqa: F401
    return importlib.metadata.version("iree-base-compiler")


def cases(shape, threads, count):
    import iree.compiler
    import iree.runtime
    if shape.is_ragged or shape.tokens > 1 or shape.window:
        raise Unsupported("the op is called without a mask")
    iree.runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
    for kind in ("f32",) if shape.type == "f32" else ("f16", "f32"):
        element = kind
        groups = shape.batch * shape.kv_heads

        def of(rows, columns):
            return f"tensor<{groups}x{rows}x{columns}x{element}>"

        text = GRAPH.format(q=of(shape.rows, shape.depth), k=of(shape.keys, shape.depth),
                            v=of(shape.keys, shape.columns), o=of(shape.rows, shape.columns),
                            scale=1 / math.sqrt(shape.depth), element=element)
        module = iree.compiler.compile_str(
            text, target_backends=["llvm-cpu"],
            extra_args=["--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"])
        config = iree.runtime.Config("local-task")
        context = iree.runtime.SystemContext(config=config)
        context.add_vm_module(iree.runtime.VmModule.copy_buffer(config.vm_instance, module))
        function = context.modules.module.attention
        data = Data(shape, kind)
        count_here = count if kind != "f32" or shape.type == "f32" else max(2, count // 2)

        def device(array, rows):
            return iree.runtime.asdevicearray(
                config.device, np.ascontiguousarray(array).reshape(groups, rows, -1))

        query = device(data.query, shape.rows)
        keys = [device(data.key, shape.keys) for _ in range(count_here)]
        values = [device(data.value, shape.keys) for _ in range(count_here)]

        def result():
            output = function(query, keys[0], values[0]).to_host()
            return output.astype(np.float32).reshape(shape.batch, 1, shape.heads, -1)

        yield Case(f"IREE {kind}", kind,
                   [lambda i=i: function(query, keys[i], values[i]) for i in range(count_here)],
                   result)
