"""tune_file.py SCHEDULES RESULT WALK: two problems, the first with its second
result; the second is the best of the search that RESULT tells of; the search
that WALK tells of went in steps of one size."""

import json
import re
import sys

with open(sys.argv[1]) as file:
    schedules = json.load(file)
with open(sys.argv[2]) as file:
    result = json.load(file)
assert schedules["version"] == 1
first, second = schedules["schedules"]
assert first["types"] == ["f32"] * 3 and "mask" not in first, first
assert first["sizes"]["m"] == 300 and first["threads"] == 1, first
assert second["types"] == ["bf16"] * 3, second
assert second["mask"][0] == "m" and len(second["mask"]) == 2, second
assert second["spec"] == "bcrk, bmck, bmcv -> bcrv", second

# The table's best is what is stored.
best = result["best"]
assert len(result["candidates"]) == 4
assert len({c["schedule"] for c in result["candidates"]}) == 4, "one was tried twice"
assert any(c["schedule"].endswith("packed") for c in result["candidates"])
assert sum(c["model"] for c in result["candidates"]) == 1
sizes = second["schedule"]
assert f"chunk={sizes['chunk']} key_tile={sizes['key_tile']} " in best["schedule"], best
assert best["schedule"].endswith(sizes["products"] + (" packed" if sizes["packed"] else ""))
assert all(abs(second[name] - best[name]) <= 1e-3 for name in ("median_us", "model_us"))
assert best["ratio"] <= 1.5 and best["error_over_bound"] < 1


def fields(candidate):
    text = candidate["schedule"]
    sizes = {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", text)}
    assert set(sizes) == {"chunk", "key_tile", "row_tile", "prefetch"}, text
    assert sizes["chunk"] % sizes["key_tile"] == 0, text
    return {**sizes, "products": text.split(" ", 4)[4]}


with open(sys.argv[3]) as file:
    walk = [fields(c) for c in json.load(file)["candidates"]]
assert len(walk) > 6, walk
for one in walk:
    # A larger key tile may take the chunk with it.
    steps = [{name for name in one if one[name] != other[name]} for other in walk]
    assert any(len(step) == 1 or step == {"chunk", "key_tile"} for step in steps), one
for name in ("chunk", "key_tile", "row_tile", "prefetch", "products"):
    assert len({one[name] for one in walk}) > 1, f"{name} was never changed"
