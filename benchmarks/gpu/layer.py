"""The incremental layer of Shazeer 2019 as a graph and as steps to check it by.

One new token of each sequence goes through self attention, whose caches it is
appended to, and through attention over a memory; both with their projections.
The paper times a decoder of six such layers (and their feed-forward layers,
which are left out here): tables 1 and 3, 46 us of 8 TPUv2 cores for a token of
multi-head, 3.8 us of multi-query attention, at batch 1024 and 128 keys.
"""
PUBLISHED_US = {"MHA": 46, "MQA": 3.8}


def layer(kind, batch=1024, keys=128, heads=8, depth=128, model=1024):
    """"MHA" or "MQA"."""
    g = "h" if kind == "MHA" else ""
    extent = dict(b=batch, m=keys, h=heads, k=depth, v=depth, d=model)
    steps = [
        dict(einsum="bd, hdk -> bhk", of=["x", "P_q"], to="q"),
        dict(einsum=f"bd, {g}dk -> b{g}k", of=["x", "P_k"], to="key"),
        dict(einsum=f"bd, {g}dv -> b{g}v", of=["x", "P_v"], to="value"),
        dict(append=f"b{g}k -> b{g}mk", of=["key", "K"], to="K"),
        dict(append=f"b{g}v -> b{g}mv", of=["value", "V"], to="V"),
        dict(attention=f"bhk, b{g}mk, b{g}mv -> bhv", of=["q", "K", "V"], to="o",
             of_cache=True),
        dict(einsum="bhv, hdv -> bd", of=["o", "P_o"], to="z"),
        dict(einsum="bd, hdk -> bhk", of=["z", "M_q"], to="mq"),
        dict(attention=f"bhk, b{g}mk, b{g}mv -> bhv",
             of=["mq", "memory_K", "memory_V"], to="mo"),
        dict(einsum="bhv, hdv -> bd", of=["mo", "M_o"], to="y"),
    ]
    arguments = [("x", "input", "bd"), ("length", "length", "b"),
                 ("K", "cache", f"b{g}mk"), ("V", "cache", f"b{g}mv"),
                 ("memory_K", "input", f"b{g}mk"),
                 ("memory_V", "input", f"b{g}mv"), ("P_q", "input", "hdk"),
                 ("P_k", "input", f"{g}dk"), ("P_v", "input", f"{g}dv"),
                 ("P_o", "input", "hdv"), ("M_q", "input", "hdk"),
                 ("M_o", "input", "hdv")]
    return dict(
        name=f"{kind} layer {heads}/{heads if g else 1}/{depth}, {batch} x {keys}",
        extent=extent, arguments=arguments, steps=steps, lengths=[keys - 1],
        # Scores of a few units, as trained ones are.
        shifts=dict(P_q=8, P_k=5, P_v=5, P_o=5, M_q=7, M_o=5),
        published=PUBLISHED_US[kind])


def projection(rows, model, columns, spec="bd, dn -> bn"):
    """One einsum; the floor is reading the weights."""
    _, weights = spec.split("->")[0].replace(" ", "").split(",")
    return dict(name=f"projection {rows} x {model} to {columns}, {spec}",
                extent=dict(b=rows, d=model, n=columns),
                arguments=[("x", "input", "bd"), ("w", "input", weights)],
                steps=[dict(einsum=spec, of=["x", "w"], to="y")],
                shifts=dict(w=5))


LAYERS = [layer("MHA"), layer("MQA")]
# The weights of a 70B model's attention, few rows and many; with the columns
# neighbours in memory, and with the sums.
LAYERS += [projection(rows, 8192, 8192) for rows in (1, 16, 64, 1024)]
LAYERS += [projection(rows, 8192, 8192, "bd, nd -> bn") for rows in (1, 1024)]
LAYERS += [projection(rows, 1024, 1024) for rows in (16, 1024)]


def type_of(term, extent, element="bf16"):
    return f"tensor<{''.join(f'{extent[c]}x' for c in term)}{element}>"


class Printer:
    """Writes the graph: einsums, a softmax between two of them, appends."""

    def __init__(self, layer):
        self.layer, self.extent, self.lines = layer, layer["extent"], []
        self.term = {name: term for name, _, term in layer["arguments"]}
        self.value = {name: f"%{name}" for name in self.term}

    def type(self, name, element="bf16"):
        return type_of(self.term[name], self.extent, element)

    def einsum(self, spec, of, to, element="bf16"):
        types = ", ".join(self.of_type[name] for name in of)
        self.term[to] = spec.split("->")[1].strip()
        self.of_type[to] = self.type(to, element)
        self.value[to] = f"%{to}_{len(self.lines)}"
        operands = ", ".join(self.value[name] for name in of)
        self.lines.append(f'{self.value[to]} = attn.einsum "{spec}"({operands}) : '
                          f"({types}) -> {self.of_type[to]}")

    def append(self, spec, of, to):
        new, cache = of
        before, self.value[to] = self.value[cache], f"%{to}_{len(self.lines)}"
        self.lines.append(
            f'{self.value[to]} = attn.append "{spec}"({self.value[new]} into '
            f"{before} at %length : {self.of_type['length']}) : "
            f"{self.of_type[new]} into {self.of_type[to]}")

    def attention(self, spec, of, to, of_cache=False):
        inputs, output = spec.split(" -> ")
        query, key, value = inputs.split(", ")
        scores = output[:-1] + "m"
        self.einsum(f"{query}, {key} -> {scores}", of[:2], to + "_scores", "f32")
        weights, valid = f"%{to}_weights", ""
        if of_cache:
            valid = f" valid(%valid : {self.of_type['length']})"
        self.lines.append(f'{weights} = attn.softmax "{scores}" over "m"'
                          f"({self.value[to + '_scores']}){valid} : "
                          f"{self.of_type[to + '_scores']}")
        self.value[to + "_scores"] = weights
        self.einsum(f"{scores}, {value} -> {output}", [to + "_scores", of[2]], to)

    def text(self):
        self.of_type = {
            name: self.type(name, "i64" if kind == "length" else "bf16")
            for name, kind, _ in self.layer["arguments"]}
        self.lines = []
        if "length" in self.of_type:
            length = self.of_type["length"]
            self.lines = [f"%one = arith.constant dense<1> : {length}",
                          f"%valid = arith.addi %length, %one : {length}"]
        for step in self.layer["steps"]:
            more = {k: v for k, v in step.items() if k in ("of", "to", "of_cache")}
            kind = next(k for k in step if k not in more)
            getattr(self, kind)(step[kind], **more)
        flag = dict(length=", attn.length", cache=", attn.cache", input="")
        arguments = ",\n    ".join(
            f'%{name}: {self.of_type[name]} {{attn.name = "{name}"{flag[kind]}}}'
            for name, kind, _ in self.layer["arguments"])
        caches = [name for name, kind, _ in self.layer["arguments"]
                  if kind == "cache"]
        results = ", ".join(
            [f'{self.of_type["y"]} {{attn.name = "y"}}'] +
            [f'{self.of_type[c]} {{attn.cache = "{c}"}}' for c in caches])
        returned = ["y"] + caches
        body = "\n  ".join(self.lines)
        return (f"func.func @step(\n    {arguments})\n    -> ({results}) {{\n"
                f"  {body}\n  return "
                f"{', '.join(self.value[r] for r in returned)} : "
                f"{', '.join(self.of_type[r] for r in returned)}\n}}\n")


def graph(layer):
    return Printer(layer).text()


def entry(layer):
    """What the benchmark's list says of it."""
    keys = ("name", "steps", "lengths", "shifts", "published")
    return dict({key: layer[key] for key in keys if key in layer},
                function="step")
