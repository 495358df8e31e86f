"""The attentions that compile.py compiles: those that are timed, and smaller
ones that are checked alone (`compile.py --checks`)."""

SPEC = "bgrk, bgmk, bgmv -> bgrv"
TOKENS = "bgrnk, bgmk, bgmv -> bgrnv"
LATENT = "bhk, bmk, bmv -> bhv"
LATENT_TOKENS = "bhnk, bmk, bmv -> bhnv"


def attention(name, batch, heads, groups, keys, depth, **more):
    """Attention of one new token by batch, query and KV heads, of bf16."""
    tokens = more.pop("tokens", 1)
    sizes = dict(b=batch, g=groups, r=heads // groups, m=keys, k=depth,
                 v=more.pop("width", depth))
    more.setdefault("type", "bf16")
    if tokens > 1:
        sizes["n"] = tokens
        more.setdefault("mask", "causal")
    return dict(name=name, spec=TOKENS if tokens > 1 else SPEC, sizes=sizes,
                **more)


def float8(name, *sizes, **more):
    """The same with keys and values of f8E4M3FN."""
    return attention("fp8 " + name, *sizes, type="f8e4m3", **more)


def scaled(name, element, *sizes, **more):
    """Keys and values of 8 bits, with a scale for each of their rows."""
    return attention(f"{'fp8' if element == 'f8e4m3' else element} scaled {name}",
                     *sizes, type=element, scaled=True, **more)


def latent(heads, batch, keys, depth=576, width=512, **more):
    """Values are the first columns of the keys."""
    name = more.pop("name", f"MLA {heads} heads {depth}/{width}, {batch} x {keys}")
    more.setdefault("type", "bf16")
    tokens = more.pop("tokens", 0)
    sizes = dict(b=batch, h=heads, m=keys, k=depth, v=width)
    if tokens:
        sizes["n"] = tokens
    return dict(name=name, spec=LATENT_TOKENS if tokens else LATENT, sizes=sizes,
                value_in_key=True, **more)


TIMED = [
    attention("MHA 32/32/128, 16 x 8K", 16, 32, 32, 8192, 128),
    attention("GQA 32/8/128, 64 x 8K", 64, 32, 8, 8192, 128),
    attention("GQA 64/8/128, 16 x 32K", 16, 64, 8, 32768, 128),
    attention("MQA 64/1/128, 64 x 32K", 64, 64, 1, 32768, 128),
    attention("MQA 71/1/64, 64 x 8K", 64, 71, 1, 8192, 64),
    attention("GQA 64/8/128, 1 x 128K", 1, 64, 8, 131072, 128),
    attention("MQA 64/1/128, 1 x 128K", 1, 64, 1, 131072, 128),
    attention("GQA 32/8/128, 8 x 2K", 8, 32, 8, 2048, 128),
    attention("GQA 32/8/128, 1 x 1K", 1, 32, 8, 1024, 128),
    attention("GQA 32/8/128, 64 x 8K, 4 tokens", 64, 32, 8, 8192, 128, tokens=4),
    attention("MQA 8/1/128, 1024 x 128", 1024, 8, 1, 128, 128),
    attention("MHA 8/8/128, 1024 x 128", 1024, 8, 8, 128, 128),
    latent(16, 128, 4096),
    latent(64, 128, 4096),
    latent(128, 128, 4096),
    latent(128, 1, 32768),
    attention("GQA 32/8/128, 8 x 2K, ragged", 8, 32, 8, 2048, 128,
              lengths=[2048, 1, 17, 300, 1024, 2047, 257, 64]),
    latent(128, 64, 8192, name="MLA 128 heads 576/512, 64 ragged",
           lengths=[(i * 7919 + 13) % 8192 + 1 for i in range(64)]),
    float8("GQA 32/8/128, 64 x 8K", 64, 32, 8, 8192, 128),
    float8("MQA 64/1/128, 64 x 32K", 64, 64, 1, 32768, 128),
    float8("MHA 32/32/128, 16 x 8K", 16, 32, 32, 8192, 128),
    float8("MQA 71/1/64, 64 x 8K", 64, 71, 1, 8192, 64),
    float8("GQA 64/8/128, 1 x 128K", 1, 64, 8, 131072, 128),
    float8("GQA 32/8/128, 8 x 2K", 8, 32, 8, 2048, 128),
    float8("GQA 32/8/128, 1 x 1K", 1, 32, 8, 1024, 128),
    float8("MQA 8/1/128, 1024 x 128", 1024, 8, 1, 128, 128),
    latent(16, 128, 4096, name="fp8 MLA 16 heads 576/512, 128 x 4096",
           type="f8e4m3"),
    float8("GQA 32/8/128, 8 x 2K, ragged", 8, 32, 8, 2048, 128,
           lengths=[2048, 1, 17, 300, 1024, 2047, 257, 64]),
    scaled("GQA 32/8/128, 64 x 8K", "f8e4m3", 64, 32, 8, 8192, 128),
    scaled("MQA 64/1/128, 64 x 32K", "f8e4m3", 64, 64, 1, 32768, 128),
    scaled("GQA 32/8/128, 64 x 8K", "i8", 64, 32, 8, 8192, 128),
    scaled("MQA 64/1/128, 64 x 32K", "i8", 64, 64, 1, 32768, 128),
    scaled("GQA 32/8/128, 8 x 2K", "i8", 8, 32, 8, 2048, 128),
]

RAGGED = [777, 1, 300]
ALL_LENGTHS = list(range(258))


def products():
    """Group sizes by head dims, and shapes that fill no tile."""
    for heads in (1, 3, 5, 7, 12, 20, 71):
        for depth in (40, 64, 80, 96, 112, 128, 192, 256):
            sizes = (3, 2 * heads, 2, 777, depth)
            yield attention(f"group of {heads}, head dim {depth}", *sizes,
                            lengths=RAGGED)
            yield float8(f"group of {heads}, head dim {depth}", *sizes,
                         lengths=RAGGED)


def with_scales():
    for element in ("f8e4m3", "i8"):
        for heads, depth in ((1, 128), (5, 80), (20, 96), (40, 128), (71, 64),
                             (20, 256)):
            yield scaled(f"group of {heads}, head dim {depth}", element, 3,
                         2 * heads, 2, 777, depth, lengths=RAGGED)
        for heads, depth in ((4, 128), (71, 64)):
            yield scaled(f"lengths 0 to 257, group of {heads}", element, 258,
                         heads, 1, 257, depth, lengths=ALL_LENGTHS)
        yield scaled("GQA 6/2/64, 4 tokens", element, 2, 6, 2, 129, 64, tokens=4)


def lengths():
    """Every length around the first tiles, no key among them."""
    for heads, depth in ((1, 64), (4, 128), (71, 64), (8, 256)):
        sizes = (258, heads, 1, 257, depth)
        yield attention(f"lengths 0 to 257, group of {heads}", *sizes,
                        lengths=ALL_LENGTHS)
        yield float8(f"lengths 0 to 257, group of {heads}", *sizes,
                     lengths=ALL_LENGTHS)
    for kind in ("bf16", "f16"):
        yield attention(f"lengths 0 to 257, {kind}, f32 output", 258, 4, 1, 257, 128,
                        lengths=ALL_LENGTHS, type=kind, output_type="f32")
    for heads in (16, 128):
        yield latent(heads, 258, 257, name=f"lengths 0 to 257, MLA {heads}",
                     lengths=ALL_LENGTHS, output_type="f32")


def others():
    for heads in (33, 40, 64, 71, 96, 200):
        yield latent(heads, 3, 777, lengths=RAGGED)
    yield latent(40, 5, 700, 512, 448)
    yield latent(40, 5, 700, 328, 320)
    yield latent(16, 8, 2000, tokens=4, mask="causal", name="MLA 16, 4 tokens")
    yield latent(128, 4, 4096, tokens=1, mask="window(1000)",
                 name="MLA 128, a window")
    yield attention("GQA 24/8/128, f16", 2, 24, 8, 777, 128, type="f16")
    yield attention("GQA 24/8/64, f32 output", 2, 24, 8, 777, 64,
                    output_type="f32")
    yield attention("GQA 6/2/64, 8 tokens", 2, 6, 2, 1000, 64, tokens=8)
    yield attention("GQA 6/2/64, 3 tokens in a window", 2, 6, 2, 1000, 64,
                    tokens=3, mask="window(100)")
    yield attention("GQA 10/2, depth 72, width 136", 3, 10, 2, 513, 72, width=136)
    yield attention("GQA 6/2/64, f32", 2, 6, 2, 300, 64, type="f32",
                    output_type="f32")
    yield float8("GQA 15/3/40", 3, 15, 3, 257, 40, lengths=[257, 3, 130])
    yield float8("MQA 7/1/65", 2, 7, 1, 77, 65)
    yield float8("GQA 6/2/64, 4 tokens", 2, 6, 2, 129, 64, tokens=4)
    yield float8("GQA 21/3/80", 7, 21, 3, 1001, 80)


CHECKED = [*products(), *lengths(), *with_scales(), *others()]
