"""The table and the plot of benchmarks/gpu: gpu_report_test.py OUT."""

import json
import os
import subprocess
import sys
import unittest
import xml.etree.ElementTree

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "benchmarks", "gpu",
                      "report.py")
OUT = sys.argv.pop()

RESULT = {
    "gpu": "NVIDIA H200", "read_tbs": 4.6,
    "rows": [
        {"name": "GQA", "us": 469.0, "floor_us": 461.0, "bytes": 2e9, "operations": 16e9,
         "tbs": 4.58},
        {"name": "MQA", "error": "wrong result: [0, 1]\nmore"},
        {"name": "projection", "us": 400.0, "floor_us": 30.0, "bytes": 1.5e8,
         "operations": 1.4e11, "tbs": 0.4}]}
PEERS = {"rows": [{"name": "GQA", "peer": "slow", "us": 900.0},
                  {"name": "GQA", "peer": "quick", "us": 482.0},
                  {"name": "GQA", "peer": "none", "why": "not installed"}]}


def report(result, *arguments):
    os.makedirs(OUT, exist_ok=True)
    for name, content in (("result", result), ("peers", PEERS)):
        with open(os.path.join(OUT, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(content, file)
    done = subprocess.run([sys.executable, SCRIPT, os.path.join(OUT, "result.json"),
                           f"--out={OUT}", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, xml.etree.ElementTree.parse(os.path.join(OUT, "roofline.svg")).getroot()


def marks(plot, name):
    return [element for element in plot.iter() if element.tag.endswith(name)]


class Report(unittest.TestCase):
    def test_peers(self):
        table, plot = report(RESULT, f"--peers={os.path.join(OUT, 'peers.json')}")
        self.assertIn("| GQA | 461.0 | 469.0 | 4.58 | 34 | 482.0 | quick |", table)
        self.assertIn("| projection | 30.0 | 400.0 | 0.40 | 350 | | |", table)
        self.assertIn("| MQA | | wrong result: [0, 1] |", table)
        self.assertIn("- GQA, none: not installed", table)
        self.assertEqual(len(marks(plot, "circle")), 2 + 1)  # and the legend
        self.assertEqual(len(marks(plot, "rect")), 1 + 1 + 1)  # background, point, legend
        texts = [element.text for element in marks(plot, "text")]
        self.assertIn("read, 4.60 TB/s", texts)
        self.assertIn("TFLOP/s", texts)

    def test_alone(self):
        table, plot = report(RESULT)
        self.assertNotIn("quick", table)
        self.assertEqual(len(marks(plot, "rect")), 1 + 1)

    def test_faster_is_higher(self):
        def height(microseconds):
            row = dict(RESULT["rows"][0], us=microseconds)
            _, plot = report(dict(RESULT, rows=[row, RESULT["rows"][2]]))
            point = next(element for element in marks(plot, "circle")
                         if element[0].text and element[0].text.startswith("1."))
            return float(point.get("cy"))
        self.assertLess(height(469), height(600))


if __name__ == "__main__":
    unittest.main()
