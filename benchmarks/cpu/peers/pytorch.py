"""scaled_dot_product_attention of PyTorch, eagerly.

Two ways: with enable_gqa, as models call it, and with the heads of a group as
query rows of their K/V head, which reads the cache once for a group.
"""

import numpy as np

from data import Data, attends, copies
from peers import Case


def version():
    import torch
    return torch.__version__


def tensor(array):
    import torch
    if array.dtype == np.uint16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def cases(shape, threads, count):
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    attend = torch.nn.functional.scaled_dot_product_attention
    data = Data(shape, shape.type)
    key = tensor(copies(data.key, count))
    value = key[..., :shape.value] if shape.value else tensor(copies(data.value, count))
    query = tensor(data.query).transpose(1, 2).contiguous()  # [batch, heads, tokens, depth]
    mask = None
    if shape.tokens > 1 or shape.is_ragged or shape.window:
        mask = torch.from_numpy(attends(shape))[:, None]

    def case(name, call):
        return Case(f"PyTorch {name}", shape.type, [lambda i=i: call(i) for i in range(count)],
                    lambda: back(shape, call(0)))

    grouped = shape.rows > 1
    yield case("enable_gqa" if grouped else "SDPA",
               lambda i: attend(query, key[i], value[i], attn_mask=mask, enable_gqa=grouped))
    rows = query.reshape(shape.batch, shape.kv_heads, shape.rows * shape.tokens, shape.depth)
    row_mask = mask.repeat(1, 1, shape.rows, 1) if mask is not None and shape.tokens > 1 else mask
    if grouped:
        yield case("rows", lambda i: attend(rows, key[i], value[i], attn_mask=row_mask))
    if shape.value:
        # Its fast path wants a value as wide as the key: sum all columns, drop some.
        yield case("rows, value = key",
                   lambda i: attend(rows, key[i], key[i], attn_mask=row_mask)[..., :shape.value])
    if shape.is_ragged:
        def each(i):
            return torch.cat([attend(rows[b:b + 1], key[i, b:b + 1, :, :valid],
                                     value[i, b:b + 1, :, :valid])
                              for b, valid in enumerate(shape.valid)])
        yield case("rows, by sequence", each)


def back(shape, output):
    output = output.reshape(shape.batch, shape.heads, shape.tokens, shape.columns)
    return output.transpose(1, 2).float().numpy()
