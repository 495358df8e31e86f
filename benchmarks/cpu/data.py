"""Random tensors for the peers, and what attention makes of them, in fp64."""

import math

import numpy as np

NUMPY = {"f32": np.float32, "f16": np.float16, "bf16": np.uint16}


def to_bf16(values):
    """The bits of the nearest bf16 numbers, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded(values, kind):
    return to_bf16(values) if kind == "bf16" else values.astype(NUMPY[kind])


def widened(values):
    return from_bf16(values) if values.dtype == np.uint16 else values.astype(np.float32)


class Data:
    """query [batch, tokens, heads, depth], key and value [batch, kv heads,
    keys, depth or columns], of the type's numbers; bf16 as bits."""

    def __init__(self, shape, kind):
        random = np.random.default_rng(5)

        def draw(*extents):
            return random.uniform(-1, 1, extents).astype(np.float32)

        self.shape, self.kind = shape, kind
        self.query = rounded(4 * draw(shape.batch, shape.tokens, shape.heads, shape.depth), kind)
        self.key = rounded(draw(shape.batch, shape.kv_heads, shape.keys, shape.depth), kind)
        if shape.value:
            self.value = self.key[..., :shape.value]
        else:
            self.value = rounded(draw(*self.key.shape), kind)

    def expected(self):
        """[batch, tokens, heads, columns]"""
        shape = self.shape
        result = np.empty((shape.batch, shape.tokens, shape.heads, shape.columns))
        sees = attends(shape)
        for b, valid in enumerate(shape.valid):
            for group in range(shape.kv_heads):
                key = widened(self.key[b, group, :valid]).astype(np.float64)
                value = widened(self.value[b, group, :valid]).astype(np.float64)
                heads = slice(group * shape.rows, (group + 1) * shape.rows)
                for token in range(shape.tokens):
                    query = widened(self.query[b, token, heads]).astype(np.float64)
                    scores = query @ key.T / math.sqrt(shape.depth)
                    scores[:, ~sees[b, token, :valid]] = -np.inf
                    weights = np.exp(scores - scores.max(1, keepdims=True))
                    result[b, token, heads] = weights / weights.sum(1, keepdims=True) @ value
        return result


def attends(shape):
    """bool [batch, tokens, keys]"""
    key = np.arange(shape.keys)[None, None]
    valid = np.array(shape.valid)[:, None, None]
    last = valid - shape.tokens + np.arange(shape.tokens)[None, :, None]
    first = last - shape.window + 1 if shape.window else 0
    return (key <= last) & (key >= first)


def copies(array, count):
    """`count` copies in one allocation, for which numpy asks huge pages."""
    result = np.empty((count, *array.shape), array.dtype)
    result[:] = array
    return result
