"""bench_test.py EINHEAD FOLDER: what benchmarks/cpu promises.

The libraries are made up: an "interpreter" answers in place of peer.py, so that
the test needs none and knows what must stand in the table.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHMARK = os.path.join(os.path.dirname(os.path.dirname(HERE)), "benchmarks", "cpu")
EINHEAD, FOLDER = sys.argv[1], sys.argv[2]
sys.path.insert(0, BENCHMARK)

import report  # noqa: E402
import shapes  # noqa: E402
import sweep  # noqa: E402
import yardstick  # noqa: E402

TINY = "4/2/16@50 type=f16"

# Answers as peer.py does; its arguments are the script, the name, the options.
LIBRARY = """#!{python}
import json, os, sys, time
name = sys.argv[2]
def say(line): print(json.dumps(line), flush=True)
def time_of(us): return {{"median_us": us, "min_us": us, "samples": 1, "copies": 1}}
if name == "iree":
    say({{"missing": "ImportError: nothing here"}})
    sys.exit()
print("a library that talks")
say({{"found": "1.0"}})
for shape in sys.stdin:
    if name == "ggml" and "batch=2" not in shape:
        os._exit(3)
    if name == "openvino":
        time.sleep(60)
    record = {{"shape": shape.strip(), "kind": "f16", "error": 1e-4,
              "cold": time_of(1e6), "warm": time_of(2e6)}}
    say(dict(record, case="slow"))
    if name == "pytorch":
        say(dict(record, case="quick but wrong", wrong=True, error=1.0, cold=time_of(1e-3)))
        say(dict(record, case="quick", cold=time_of(123456.0)))
    say({{"done": True}})
"""


def bench(*arguments):
    shutil.rmtree(FOLDER, ignore_errors=True)
    return subprocess.run(
        [sys.executable, os.path.join(BENCHMARK, "bench.py"), f"--einhead={EINHEAD}",
         f"--out={FOLDER}", "--seconds=0.02", "--threads=1", *arguments],
        capture_output=True, text=True)


def output(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


class Bench(unittest.TestCase):
    def test_files(self):
        done = bench("--peers=none", f"--shape={TINY}", "--peak=f32 FMA=100")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        entry = json.loads(output("results.json"))["shapes"][0]
        for temperature in ("cold", "warm"):
            own = entry["einhead"][temperature]
            self.assertGreater(own["median_us"], 0)
            self.assertEqual(own["kv_bytes"], 2 * 2 * 50 * 16 * 2)
            self.assertEqual(own["cold"], temperature == "cold")
            self.assertAlmostEqual(own["ratio"], own["median_us"] / own["floor_us"])
        table = output("table.md")
        self.assertIn(table, done.stdout)
        self.assertEqual(table.count(f"| {TINY}"), 2)
        warm = [cell.strip() for cell in table.splitlines()[-2].split("|")[1:-1]]
        self.assertEqual(warm[3], report.micros(entry["einhead"]["warm"]["median_us"]))
        plot = xml.etree.ElementTree.fromstring(output("roofline.svg"))
        texts = [element.text for element in plot.iter() if element.tag.endswith("text")]
        self.assertIn("f32 FMA, 100 GFLOP/s", texts)
        self.assertTrue(any("GB/s" in text for text in texts))
        circles = [element for element in plot.iter() if element.tag.endswith("circle")]
        self.assertEqual(len(circles), 2 + 2)  # two times and the legend

    def test_wrong_result(self):
        done = bench("--peers=none", f"--shape={TINY}", "--temperatures=cold", "--perturb=1")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("wrong result", output("table.md"))
        self.assertNotIn("median_us", output("results.json"))
        self.assertIn("no shape has a time", output("roofline.svg"))

    def test_libraries(self):
        os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
        interpreter = FOLDER + "-library"
        with open(interpreter, "w", encoding="utf-8") as file:
            file.write(LIBRARY.format(python=sys.executable))
        os.chmod(interpreter, 0o755)
        done = bench("--peers=pytorch,ggml,iree,openvino", f"--python={interpreter}", "--limit=3",
                     f"--shape={TINY}", f"--shape={TINY} batch=2", "--temperatures=cold")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        table = output("table.md")
        self.assertIn("IREE: not found (ImportError: nothing here); pip install iree-", table)
        self.assertNotIn("IREE µs", table)
        self.assertIn("PyTorch 1.0: quick (2)", table)
        self.assertIn("quick but wrong is wrong by 1.0e+00", table)
        self.assertIn("ggml failed: ended with 3", table)
        self.assertIn("OpenVINO failed: more than 3 s", table)
        heads, rows = [[cell.strip() for cell in line.split("|")[1:-1]]
                       for line in table.splitlines() if line.startswith("| ")][0], {}
        for line in table.splitlines():
            if line.startswith("| 4/2"):
                cells = [cell.strip() for cell in line.split("|")[1:-1]]
                rows[cells[0]] = dict(zip(heads, cells))
        self.assertEqual([row["PyTorch µs"] for row in rows.values()], ["123456", "123456"])
        # After a crash it is started again.
        self.assertEqual([row["ggml µs"] for row in rows.values()], ["failed", "1000000"])
        self.assertTrue(all(row["÷ best peer"] == "0.00" for row in rows.values()), rows)

    def test_usage(self):
        for arguments, words in ((["--shape=4/3/16@50"], "do not divide"),
                                 (["--shape=4/2/16"], "it starts with"),
                                 (["--shape=4/2/16@50 value=17"], "no 17 columns"),
                                 (["--shape=4/2/16@50 color=red"], "no meaning in 'color=red'"),
                                 (["--shape=4/2/16@50 lengths=51"], "lengths are from 1 to 50"),
                                 (["--peers=abacus"], "no peer 'abacus'"),
                                 (["--temperatures=hot"], "cold and warm"),
                                 (["--peak=100"], "write --peak as")):
            done = bench(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(words, done.stderr)


def run_sweep(*arguments):
    shutil.rmtree(FOLDER, ignore_errors=True)
    return subprocess.run(
        [sys.executable, os.path.join(BENCHMARK, "sweep.py"), f"--einhead={EINHEAD}",
         f"--out={FOLDER}", "--seconds=0.02", "--temperature=warm", *arguments],
        capture_output=True, text=True)


class Sweep(unittest.TestCase):
    def test_files(self):
        done = run_sweep("--over=rows", "--shape={}/1/16@50", "--points=1,4-6:2")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        records = json.loads(output("sweep-rows.json"))
        # A point that stands out, as one may on a busy machine, is timed again.
        self.assertEqual(list(dict.fromkeys(record["shape"] for record in records)),
                         ["1/1/16@50", "4/1/16@50", "6/1/16@50"])
        plot = xml.etree.ElementTree.fromstring(output("sweep-rows.svg"))
        circles = [element for element in plot.iter() if element.tag.endswith("circle")]
        self.assertEqual(len(circles), 3)

    def test_wrong_result(self):
        done = run_sweep("--over=rows", "--shape={}/1/16@50", "--points=2", "--perturb=1")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("wrong result", done.stdout)
        self.assertFalse(os.path.exists(os.path.join(FOLDER, "sweep-rows.svg")))

    def test_usage(self):
        for arguments, words in ((["--over=rows", "--points=1-x"], "invalid literal"),
                                 (["--over=rows", "--shape={}/2/16@50"], "do not divide"),
                                 (["--over=color"], "invalid choice")):
            done = run_sweep(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(words, done.stderr)

    def test_cliffs(self):
        slope = [(x, 10.0 + 2 * x) for x in range(1, 20)]
        self.assertEqual(sweep.cliffs(slope), [])
        slope[7] = (8, 1.29 * 26)
        self.assertEqual(sweep.cliffs(slope), [])
        slope[7] = (8, 1.31 * 26)
        self.assertEqual([x for x, _, _ in sweep.cliffs(slope)], [8])

    def test_steps(self):
        times = [(x, 100.0) for x in range(1, 5)] + [(x, 162.0) for x in range(5, 9)]
        self.assertEqual(sweep.cliffs(times), [])  # as 4 became 5
        times[4:] = [(x, 163.0) for x in range(5, 9)]
        self.assertEqual([x for x, _, _ in sweep.cliffs(times)], [5])


class Parts(unittest.TestCase):
    def test_shapes(self):
        self.assertEqual(len(set(shapes.SHAPES)), len(shapes.SHAPES))
        for text in shapes.SHAPES:
            self.assertEqual(str(shapes.parse(text)), text)
        latent = shapes.bench_arguments(shapes.parse("16/1/576@4096 value=512"))
        self.assertIn("--spec=brk, bmk, bmv -> brv", latent)
        self.assertIn("--value-in-key", latent)
        tokens = shapes.bench_arguments(shapes.parse("32/8/128@4096 tokens=4"))
        self.assertIn("--size=b=1,g=8,r=4,n=4,m=4096,k=128,v=128", tokens)
        self.assertIn("--mask=causal", tokens)
        self.assertEqual(shapes.parse("8/8/64@4096 window=128").cached().keys, 128)

    def test_every_shape_is_one_of_the_tool(self):
        for text in shapes.SHAPES:
            done = subprocess.run(
                [EINHEAD, "bench", *shapes.bench_arguments(shapes.parse(text)), "--print-graph"],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, text + done.stderr)

    def test_yardstick(self):
        results = {"cold": yardstick.parse(
            "COLD; us\n"
            "shape                         S   KV MB |  read 1T  read 2T | f16fma 1T f16fma 2T "
            "bf16dp 1T bf16dp 2T | error\n"
            "some 32/8/128              4096    16.8 |    700.0    500.0 |    1100.0     690.0 "
            "    900.0     600.0 | 1e-6\n"
            "some 16x576/512            4096     4.7 |    700.0    500.0 |    1100.0     790.0 "
            "    900.0     800.0 | 1e-6\n"
            "some 32/8/128, 4 tokens    4096    16.8 |    700.0    500.0 |    1100.0     990.0 "
            "    900.0     980.0 | 1e-6\n")}
        for text, wanted in (("32/8/128@4096", 600.0), ("16/1/576@4096 value=512", 790.0),
                             ("32/8/128@4096 tokens=4", 980.0), ("32/8/128@1024", None),
                             ("8/8/128@4096", None), ("32/8/128@4096 type=f32", None)):
            self.assertEqual(yardstick.find(results, text, "cold"), wanted, text)

    def test_answers(self):
        try:
            import numpy as np
        except ImportError:
            self.skipTest("no numpy")
        import data
        import peer
        from peers import Case
        shape = shapes.parse("4/2/16@9 tokens=2 window=3")
        sees = data.attends(shape)[0]
        self.assertEqual([list(np.flatnonzero(row)) for row in sees], [[5, 6, 7], [6, 7, 8]])
        exact = data.Data(shape, "f32").expected()
        options = {"temperatures": ["warm"], "seconds": 0.001}
        right = peer.record(Case("x", "f32", [lambda: None], lambda: exact), {}, shape, options)
        self.assertNotIn("wrong", right)
        self.assertIn("warm", right)
        for change in (0.01, np.nan):
            off = exact.copy()
            off[0, 1, 3, 5] += change
            wrong = peer.record(Case("x", "f32", [lambda: None], lambda: off), {}, shape, options)
            self.assertTrue(wrong["wrong"])
        bits = data.to_bf16(np.array([1.0, 1.00390625, 1.01171875, -3.3e38], np.float32))
        self.assertEqual([hex(bit) for bit in bits], ["0x3f80", "0x3f80", "0x3f82", "0xff78"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[3:]])
