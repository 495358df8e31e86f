"""The shapes that are measured, and how each is written.

A shape is text: HEADS/KV_HEADS/DEPTH@KEYS and words NAME=VALUE behind it.

  type=bf16       of query, key and value: f32, f16 or bf16
  batch=1         sequences
  lengths=17,300  valid keys of each sequence; KEYS is the room for each
  tokens=1        new tokens, which attend causally
  window=128      only that many last keys attend
  value=512       the value is that many first columns of the key
  layout=token-major   in place of head-major
"""

import dataclasses
import re

# Decode attention of models that are run: multi-head, grouped, multi-query and
# latent attention, windows, ragged batches, several new tokens; and the layers
# of the paper that proposed multi-query attention.
SHAPES = [
    "32/32/128@2048",
    "32/8/128@1024",
    "32/8/128@4096",
    "32/8/128@16384",
    "64/8/128@4096",
    "64/8/64@4096",
    "64/8/64@4096 window=128",
    "71/1/64@2048",
    "71/1/64@16384",
    "8/1/256@4096",
    "16/1/576@4096 value=512",
    "128/1/576@4096 value=512",
    "32/8/128@4096 lengths=17,300,900,1500,2100,2800,3500,4096",
    "32/8/128@4096 tokens=4",
    "8/8/128@128 type=f32 batch=128",
    "8/1/128@128 type=f32 batch=128",
]

BYTES = {"f32": 4, "f16": 2, "bf16": 2}


class ShapeError(ValueError):
    """A shape that does not read as one."""


@dataclasses.dataclass(frozen=True)
class Shape:
    heads: int
    kv_heads: int
    depth: int
    keys: int
    type: str = "bf16"
    batch: int = 1
    lengths: tuple = ()
    tokens: int = 1
    window: int = 0
    value: int = 0  # 0: a tensor of its own, as wide as the key
    layout: str = "head-major"

    @property
    def rows(self):
        """Query heads of one K/V head."""
        return self.heads // self.kv_heads

    @property
    def columns(self):
        """Elements of a value."""
        return self.value or self.depth

    @property
    def valid(self):
        """Valid keys of each sequence."""
        return self.lengths or (self.keys,) * self.batch

    @property
    def is_ragged(self):
        return len(set(self.valid)) > 1

    def buffer_bytes(self, element_bytes=None):
        """Of one K/V cache."""
        elements = self.batch * self.kv_heads * self.keys * self.depth
        return elements * (1 if self.value else 2) * (element_bytes or BYTES[self.type])

    def cached(self):
        """What a cache that forgets holds: one new token needs no key before
        its window, and a peer is given none."""
        if not self.window or self.tokens > 1 or self.lengths:
            return self
        return dataclasses.replace(self, keys=min(self.keys, self.window), window=0)

    def __str__(self):
        words = [f"{self.heads}/{self.kv_heads}/{self.depth}@{self.keys}"]
        for field in dataclasses.fields(self)[4:]:
            value = getattr(self, field.name)
            if value == field.default or field.name == "batch" and self.lengths:
                continue
            if field.name == "lengths":
                value = ",".join(map(str, value))
            words.append(f"{field.name}={value}")
        return " ".join(words)


def parse(text):
    words = text.split()
    start = re.fullmatch(r"(\d+)/(\d+)/(\d+)@(\d+)", words[0]) if words else None
    if not start:
        raise ShapeError(f"shape '{text}': it starts with HEADS/KV_HEADS/DEPTH@KEYS, "
                         "for example 32/8/128@4096")
    values = dict(zip(("heads", "kv_heads", "depth", "keys"), map(int, start.groups())))
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name == "lengths" and re.fullmatch(r"\d+(,\d+)*", value):
            values["lengths"] = tuple(map(int, value.split(",")))
            values["batch"] = len(values["lengths"])
        elif name in ("batch", "tokens", "window", "value") and value.isdigit():
            values[name] = int(value)
        elif (name, value) in [("type", known) for known in BYTES] + [
                ("layout", "head-major"), ("layout", "token-major")]:
            values[name] = value
        else:
            raise ShapeError(f"shape '{text}': no meaning in '{word}'; words are type=, batch=, "
                             "lengths=, tokens=, window=, value= and layout=")
    shape = Shape(**values)
    check(shape, text)
    return shape


def check(shape, text):
    if min(shape.heads, shape.kv_heads, shape.depth, shape.keys, shape.batch, shape.tokens) < 1:
        raise ShapeError(f"shape '{text}': every number is at least 1")
    if shape.heads % shape.kv_heads:
        raise ShapeError(f"shape '{text}': {shape.kv_heads} K/V heads do not divide "
                         f"{shape.heads} heads")
    if shape.value > shape.depth:
        raise ShapeError(f"shape '{text}': a key of {shape.depth} has no {shape.value} columns")
    if shape.lengths and (max(shape.lengths) > shape.keys or min(shape.lengths) < 1):
        raise ShapeError(f"shape '{text}': lengths are from 1 to {shape.keys}")
    if shape.tokens > min(shape.valid):
        raise ShapeError(f"shape '{text}': the new tokens are among the valid keys")
    if shape.lengths and (shape.tokens > 1 or shape.window):
        raise ShapeError(f"shape '{text}': lengths go with neither tokens nor a window: a mask has "
                         "one position for all sequences")


def bench_arguments(shape):
    """Of `einhead bench`."""
    heads = "g" if shape.kv_heads > 1 else ""
    rows = ("r" if shape.rows > 1 else "") + ("n" if shape.tokens > 1 else "")
    sizes = {"b": shape.batch, "g": shape.kv_heads, "r": shape.rows, "n": shape.tokens,
             "m": shape.keys, "k": shape.depth, "v": shape.columns}
    letters = "b" + heads + rows + "mkv"
    arguments = [f"--spec=b{heads}{rows}k, b{heads}mk, b{heads}mv -> b{heads}{rows}v",
                 "--size=" + ",".join(f"{letter}={sizes[letter]}" for letter in letters),
                 f"--type={shape.type}", f"--layout={shape.layout}"]
    if shape.window:
        arguments.append(f"--mask=window({shape.window})")
    elif shape.tokens > 1:
        arguments.append("--mask=causal")
    if shape.lengths:
        arguments.append("--lengths=" + ",".join(map(str, shape.lengths)))
    if shape.value:
        arguments.append("--value-in-key")
    return arguments
