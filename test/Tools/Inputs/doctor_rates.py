"""doctor_rates.py FILE [--assumed=fma=N,dot=N,tiles=N]: fails if what `einhead
doctor --measure --json` says is not plausible or contradicts itself.

doctor_rates.py --self-test: the rule for what differs, on made-up rates."""

import json
import sys


def differences(products):
    """Faster by more than a twentieth, and not assumed to be."""
    return [f"{x['name']} is faster than {y['name']}" for x in products for y in products
            if x is not y and x["one"] > 1.05 * y["one"] and x["assumed"] <= y["assumed"]]


def self_test():
    def rates(*pairs):
        return [{"name": f"p{i}", "one": one, "assumed": assumed}
                for i, (one, assumed) in enumerate(pairs)]

    assert differences(rates((10, 1), (20, 2))) == []
    assert differences(rates((10, 2), (20, 1))) == ["p1 is faster than p0"]
    assert differences(rates((10, 2), (10.4, 1))) == [], "a twentieth is no order"
    assert differences(rates((10, 1), (0, 5))) == ["p0 is faster than p1"]


def check(measured, assumed):
    assert 0.3 < measured["ghz"] < 8, measured["ghz"]
    assert 0.01 < measured["fork_us"] < 1e5, measured["fork_us"]
    products = measured["products_gflop_s"]
    assert [p["name"] for p in products] == ["fma", "dot", "tiles"]
    for rate in measured["read_gb_s"] + products:
        # Other tests run beside: threads that wait for a core cost a lot.
        if "missing" in rate:
            assert rate["one"] == rate["all"] == 0
        else:
            assert 0.05 < rate["one"] < 1e5, rate
            assert rate["all"] > 0.01 * rate["one"] or rate["all"] == 0 and "cache" in rate["name"], rate
    for product in products:
        if "missing" not in product:
            assert abs(product["per_cycle"] * measured["ghz"] - product["one"]) < 1e-6 * product["one"]
            assert 0.5 < product["per_cycle"] < 4096, product
        if assumed:
            assert product["assumed"] == assumed[product["name"]], product
    assert measured["differs"] == differences(products), measured["differs"]


if sys.argv[1] == "--self-test":
    self_test()
else:
    with open(sys.argv[1]) as file:
        found = json.load(file)
    pairs = [p.split("=") for a in sys.argv[2:] for p in a.split("=", 1)[1].split(",")]
    assert {"LLVM", "CPU"} <= {f["name"] for f in found["findings"]}
    check(found["measured"], {name: float(rate) for name, rate in pairs})
