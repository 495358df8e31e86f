"""Writes small layers of benchmarks/gpu/layer.py as graphs and a list of the
benchmark: small_layers.py BENCHMARKS/GPU OUT."""
import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import layer  # noqa: E402

out = pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
entries = []
for kind in ("MHA", "MQA"):
    one = layer.layer(kind, batch=5, keys=9, heads=2, depth=16, model=32)
    (out / f"{kind}.mlir").write_text(layer.graph(one))
    entries.append(dict(layer.entry(one), module=f"{kind}.einhead"))
(out / "list.json").write_text(json.dumps(entries))
