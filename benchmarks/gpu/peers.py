#!/usr/bin/env python3
"""The shapes of a list by the libraries of a GPU machine, for comparison.

    benchmarks/gpu/peers.py modules/list.json --json=peers.json

Needs PyTorch: its scaled_dot_product_attention with each backend, query heads
as they are (enable_gqa) and as rows of their K/V head.  FlashAttention-3,
FlashInfer with XQA, and FlashMLA are used where they can be imported.  Each result is compared with
fp64 first; then the median of CUDA-graph replays over buffers that exceed the
L2 cache.  What is not there or refuses a shape is named with its reason.
"""
import argparse
import json
import math
import re
import statistics
import sys

try:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError as error:
    sys.exit(f"peers.py needs PyTorch: {error}")

from torch.nn.functional import scaled_dot_product_attention

DEVICE = "cuda"
ROTATED_BYTES = 400_000_000
# Of queries and outputs, and of keys and values.
TYPES = {"bf16": (torch.bfloat16, torch.bfloat16), "f16": (torch.float16, torch.float16),
         "f8e4m3": (torch.bfloat16, torch.float8_e4m3fn)}
PAGE = 64
LEAST_CALLS = 4  # of a graph, as einhead-gpu-bench has them
# Rounding to 8 bits of mantissa, some of it correlated: what is wrong is off by
# far more.
MOST_ERROR = 1e-2


class Refused(Exception):
    """A library or this file has no way to compute the shape."""


class Case:
    """q [B, KV, G, T, D], k [B, KV, N, D], v [B, KV, N, V]: copies of each."""

    def __init__(self, entry):
        extent, spec = entry["extents"], entry["spec"].replace(" ", "")
        if entry["type"] not in TYPES:
            raise Refused(f"no {entry['type']}")
        element, stored = TYPES[entry["type"]]
        latent = "g" not in spec
        self.batch, self.keys = extent["b"], extent["m"]
        self.groups = 1 if latent else extent["g"]
        self.rows = extent["h"] if latent else extent["r"]
        self.tokens = extent.get("n", 1)
        self.depth, self.width = extent["k"], extent["v"]
        # MLA: the values are the first columns of the keys.
        self.is_latent = latent
        self.mask = entry.get("mask", "none")
        if self.mask not in ("none", "causal"):
            raise Refused(f"no mask {self.mask}")
        self.lengths = entry.get("lengths")
        row_bytes = (self.depth + (0 if latent else self.width)) * stored.itemsize
        copies = max(1, min(24, math.ceil(
            ROTATED_BYTES / (self.batch * self.groups * self.keys * row_bytes))))

        def random(kind, *shape):
            return [torch.randn(*shape, device=DEVICE, dtype=element).to(kind)
                    for _ in range(copies)]

        self.q = random(element, self.batch, self.groups, self.rows, self.tokens, self.depth)
        self.k = random(stored, self.batch, self.groups, self.keys, self.depth)
        self.v = ([k[..., :self.width] for k in self.k] if latent
                  else random(stored, self.batch, self.groups, self.keys, self.width))
        self.scale = 1 / math.sqrt(self.depth)
        self.allowed = self.allow()
        self.few = sorted({0, self.batch // 2, self.batch - 1})
        self.expected = self.attend()

    def allow(self):
        """Which keys count: [B or 1, 1, T, N], or None for all."""
        key = torch.arange(self.keys, device=DEVICE)
        allowed = None
        if self.mask == "causal" and self.tokens > 1:
            token = torch.arange(self.tokens, device=DEVICE)
            allowed = key <= (self.keys - self.tokens + token)[:, None]
            allowed = allowed[None, None]
        if self.lengths:
            lengths = torch.tensor(self.lengths, device=DEVICE)
            valid = (key < lengths[:, None])[:, None, None]
            allowed = valid if allowed is None else allowed & valid
        return allowed

    def attend(self):
        """What is right for a few sequences, in fp64."""
        few = self.few
        q, k, v = (x[few].double() for x in (self.q[0], self.k[0], self.v[0]))
        scores = torch.einsum("bgrtd,bgnd->bgrtn", q, k) * self.scale
        if self.allowed is not None:
            allowed = self.allowed.expand(self.batch, 1, self.tokens, self.keys)[few]
            scores = scores.masked_fill(~allowed[:, :, None], -math.inf)
        return torch.einsum("bgrtn,bgnv->bgrtv", torch.softmax(scores, -1), v)

    def error(self, output):
        """Relative; output [B, KV, G, T, V]."""
        difference = output[self.few].double() - self.expected
        return (difference.norm() / self.expected.norm()).item()


def heads_of(case):
    """PyTorch's layout, [B, H, T, D], and back."""
    query = [q.flatten(1, 2) for q in case.q]
    return query, lambda y: y.unflatten(1, (case.groups, case.rows))


def rows_of(case):
    """Query heads as rows of their K/V head, [B, KV, G T, D]."""
    return [q.flatten(2, 3) for q in case.q], lambda y: y.unflatten(2, (case.rows, case.tokens))


def sdpa(backend, layout):
    def make(case):
        query, back = layout(case)
        mask = case.allowed
        if mask is not None and layout is rows_of and case.tokens > 1:
            mask = mask.repeat(1, 1, case.rows, 1)
        grouped = layout is heads_of and case.rows > 1

        def call(i):
            with sdpa_kernel(backend):
                return back(scaled_dot_product_attention(
                    query[i], case.k[i], case.v[i], attn_mask=mask, scale=case.scale,
                    enable_gqa=grouped))
        return call
    return make


def flash_attention_3(case):
    try:
        import flash_attn_interface as library
    except ImportError:
        import fa3_fwd_interface as library
    if case.is_latent:
        raise Refused("latent attention is not asked for here")
    # [B, T, H, D]
    query = [q.flatten(1, 2).transpose(1, 2).contiguous() for q in case.q]
    key, value = ([x.transpose(1, 2).contiguous() for x in all_] for all_ in (case.k, case.v))
    lengths = torch.tensor(case.lengths or [case.keys] * case.batch, dtype=torch.int32,
                           device=DEVICE)
    causal = case.tokens > 1
    plan = library.get_scheduler_metadata(
        case.batch, case.tokens, case.keys, case.groups * case.rows, case.groups, case.depth,
        lengths, qkv_dtype=query[0].dtype, causal=causal)

    def call(i):
        output = library.flash_attn_with_kvcache(
            query[i], key[i], value[i], cache_seqlens=lengths, softmax_scale=case.scale,
            causal=causal, scheduler_metadata=plan)
        return output.transpose(1, 2).unflatten(1, (case.groups, case.rows))
    return call


def pages_of(case):
    """Of a sequence, for libraries that know pages alone."""
    if case.tokens > 1 or case.lengths:
        raise Refused("only one token and equal lengths are asked for here")
    if case.keys % PAGE:
        raise Refused(f"keys are no multiple of pages of {PAGE}")
    return case.keys // PAGE


def paged(case):
    """Queries [B, H, D], and caches of pages, [B N / PAGE, KV, PAGE, D]."""
    if case.is_latent:
        raise Refused("latent attention is not asked for here")
    pages = pages_of(case)

    def cut(x):
        split = x.unflatten(2, (pages, PAGE)).transpose(1, 2)
        return split.flatten(0, 1).contiguous()

    return ([q[:, :, :, 0].flatten(1, 2).contiguous() for q in case.q],
            [(cut(k), cut(v)) for k, v in zip(case.k, case.v)])


def page_table(case, pages):
    table = torch.arange(case.batch * pages, dtype=torch.int32, device=DEVICE)
    lengths = torch.full((case.batch,), case.keys, dtype=torch.int32, device=DEVICE)
    return table.view(case.batch, pages), lengths


def xqa(case):
    from flashinfer.decode import xqa_batch_decode_with_kv_cache
    query, cache = paged(case)
    table, lengths = page_table(case, pages_of(case))
    workspace = torch.zeros(256 << 20, dtype=torch.uint8, device=DEVICE)

    def call(i):
        output = xqa_batch_decode_with_kv_cache(
            query[i], cache[i], workspace, table, lengths, case.keys, bmm1_scale=case.scale,
            bmm2_scale=1.0, kv_layout="HND")
        return output.unflatten(1, (case.groups, case.rows))[:, :, :, None]
    return call


def flash_mla(case):
    import flash_mla as library
    if not case.is_latent:
        raise Refused("only latent attention")
    table, lengths = page_table(case, pages_of(case))
    query = [q[:, 0].transpose(1, 2).contiguous() for q in case.q]  # [B, T, H, D]
    cache = [k[:, 0].reshape(-1, PAGE, 1, case.depth) for k in case.k]
    plan, _ = library.get_mla_metadata()
    more = {"use_legacy": True} if hasattr(library, "has_legacy") else {}

    def call(i):
        output, _ = library.flash_mla_with_kvcache(
            query[i], cache[i], table, lengths, case.width, plan, softmax_scale=case.scale,
            **more)
        return output.transpose(1, 2)[:, None]
    return call


def flashinfer(tensor_cores):
    def make(case):
        import flashinfer as library
        query, cache = paged(case)
        pages, page = pages_of(case), PAGE
        starts = torch.arange(case.batch + 1, dtype=torch.int32, device=DEVICE) * pages
        indices = torch.arange(case.batch * pages, dtype=torch.int32, device=DEVICE)
        last = torch.full((case.batch,), page, dtype=torch.int32, device=DEVICE)
        workspace = torch.zeros(1 << 30, dtype=torch.uint8, device=DEVICE)
        wrapper = library.BatchDecodeWithPagedKVCacheWrapper(
            workspace, "HND", use_cuda_graph=True, use_tensor_cores=tensor_cores,
            paged_kv_indptr_buffer=starts.clone(), paged_kv_indices_buffer=indices.clone(),
            paged_kv_last_page_len_buffer=last.clone())
        wrapper.plan(starts, indices, last, case.groups * case.rows, case.groups, case.depth,
                     page, q_data_type=query[0].dtype, kv_data_type=case.k[0].dtype,
                     sm_scale=case.scale)

        def call(i):
            output = wrapper.run(query[i], cache[i])
            return output.unflatten(1, (case.groups, case.rows))[:, :, :, None]
        return call
    return make


PEERS = {}
for backend, words in ((SDPBackend.FLASH_ATTENTION, "flash"), (SDPBackend.CUDNN_ATTENTION, "cuDNN"),
                       (SDPBackend.EFFICIENT_ATTENTION, "efficient")):
    PEERS[f"PyTorch {words}, heads"] = sdpa(backend, heads_of)
    PEERS[f"PyTorch {words}, rows"] = sdpa(backend, rows_of)
PEERS["FlashAttention-3"] = flash_attention_3
PEERS["FlashInfer"] = flashinfer(True)
PEERS["FlashInfer, CUDA cores"] = flashinfer(False)
PEERS["XQA"] = xqa
PEERS["FlashMLA"] = flash_mla


def microseconds(calls, replays):
    """Of one call, by replays of a graph of all."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = [call() for call in calls]  # memory of its own for each
    times = []
    for i in range(-4, replays):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        graph.replay()
        after.record()
        torch.cuda.synchronize()
        if i >= 0:
            times.append(before.elapsed_time(after) * 1e3 / len(calls))
    del kept
    return statistics.median(times)


def measure(case, make, replays):
    call = make(case)
    error = case.error(call(0))
    torch.cuda.synchronize()
    if not error <= MOST_ERROR:
        raise Refused(f"wrong: a relative error of {error:.1e}")
    copies = len(case.q)
    calls = [lambda i=i: call(i % copies) for i in range(max(copies, LEAST_CALLS))]
    return dict(us=microseconds(calls, replays), error=error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("list")
    parser.add_argument("--json", required=True)
    parser.add_argument("--only", default="", help="shapes that match this")
    parser.add_argument("--peers", default="", help="libraries that match this")
    parser.add_argument("--replays", type=int, default=25)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    rows = []
    with open(arguments.list, encoding="utf-8") as file:
        entries = [entry for entry in json.load(file)
                   if "extents" in entry and re.search(arguments.only, entry["name"])]
    for entry in entries:
        case = None
        for name, make in PEERS.items():
            if not re.search(arguments.peers, name):
                continue
            row = dict(name=entry["name"], peer=name)
            try:
                case = case or Case(entry)
                row.update(measure(case, make, arguments.replays))
                said = f"{row['us']:9.2f} us"
            except Exception as error:  # a library may raise anything
                row["why"] = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
                said = row["why"]
                torch.cuda.synchronize()
            rows.append(row)
            print(f"{entry['name']:36} {name:26} {said}", flush=True)
        del case
        torch.cuda.empty_cache()
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(dict(gpu=torch.cuda.get_device_name(), torch=torch.__version__, rows=rows), file,
                  indent=1)


if __name__ == "__main__":
    main()
