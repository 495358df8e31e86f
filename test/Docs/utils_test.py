#!/usr/bin/env python3
"""utils/demo.py, count-tests.py and check-docs.py refuse what they must refuse."""

import json
import os
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORDS = bytes(range(33, 33 + 40))

FAKE_TOOL = """#!{python}
import sys
if sys.argv[1] == "run":
    sys.stdout.buffer.write({text!r} + b"\\n")
    print("{steps} steps, median 12.5 us per step, 80000 tokens/s")
    print("cache: 8192 bytes per token; K and V read at the last step: 99 bytes")
    print("golden: {steps} steps, largest logit error 1e-06 (step 3, tolerance 0.001), 0 tokens differ: PASS")
    sys.exit({status})
"""


class Demo(unittest.TestCase):
    def demo(self, text=WORDS, steps=39, status=0):
        with tempfile.TemporaryDirectory() as folder:
            header = json.dumps({
                "tokens": {"dtype": "U8", "shape": [40], "data_offsets": [0, 40]},
                "logits": {"dtype": "F32", "shape": [39, 1], "data_offsets": [40, 196]},
            }).encode()
            for form in ("mha", "gqa2", "mqa"):
                os.mkdir(os.path.join(folder, form))
                with open(os.path.join(folder, form, "golden.safetensors"), "wb") as file:
                    file.write(struct.pack("<Q", len(header)) + header + WORDS + bytes(156))
                with open(os.path.join(folder, form, "config.json"), "w") as file:
                    json.dump({"num_key_value_heads": 2}, file)
            tool = os.path.join(folder, "einhead")
            with open(tool, "w") as file:
                file.write(FAKE_TOOL.format(python=sys.executable, text=text,
                                            steps=steps, status=status))
            os.chmod(tool, stat.S_IRWXU)
            return subprocess.run(
                [sys.executable, os.path.join(ROOT, "utils", "demo.py"), tool,
                 "--examples=" + folder, "--out=" + folder],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_right_result_passes(self):
        done = self.demo()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"gqa2 +2 +8192 +99 +12.5 +80000 +1e-06 +PASS")

    def test_wrong_byte_fails(self):
        self.assertEqual(self.demo(text=WORDS[:-1] + b"!").returncode, 1)

    def test_short_comparison_fails(self):
        self.assertEqual(self.demo(steps=38).returncode, 1)

    def test_exit_code_of_the_tool_fails(self):
        self.assertEqual(self.demo(status=1).returncode, 1)


class CountTests(unittest.TestCase):
    def count(self, ctest, lit=None):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "test"))
            for name, cases in (("ctest.xml", ctest), ("test/lit.xml", lit)):
                if cases is not None:
                    with open(os.path.join(folder, name), "w") as file:
                        file.write(f"<testsuite>{cases}</testsuite>")
            done = subprocess.run(
                [sys.executable, os.path.join(ROOT, "utils", "count-tests.py"), folder],
                stdout=subprocess.PIPE, text=True)
            return done.stdout.splitlines()[-1], done.returncode

    def test_passed(self):
        self.assertEqual(self.count('<testcase name="a" status="run"/>'),
                         ("1 passed, 0 failed", 0))

    def test_nothing_ran(self):
        self.assertEqual(self.count(""), ("0 passed, 0 failed", 1))
        self.assertEqual(self.count(None), ("0 passed, 1 failed", 1))

    def test_failed(self):
        self.assertEqual(self.count('<testcase name="a" status="fail"><failure/></testcase>'),
                         ("0 passed, 1 failed", 1))

    def test_lit_counts_its_own(self):
        lit = ('<testcase classname="E" name="a"/><testcase classname="E" name="b">'
               '<skipped/></testcase><testcase classname="E" name="c"/>')
        self.assertEqual(self.count('<testcase name="lit" status="run"/>', lit),
                         ("2 passed, 0 failed", 0))

    def test_lit_that_left_no_results_fails(self):
        failed = '<testcase name="lit" status="fail"><failure/></testcase>'
        self.assertEqual(self.count(failed), ("0 passed, 1 failed", 1))

    def test_googletest_counts_its_own(self):
        output = "[       OK ] A.b (0 ms)\n[  FAILED  ] A.c (1 ms)\n[  FAILED  ] A.c\n"
        case = (f'<testcase name="g" status="fail"><failure/><system-out>{output}'
                "</system-out></testcase>")
        self.assertEqual(self.count(case), ("1 passed, 1 failed", 1))

    def test_googletest_that_crashed_fails(self):
        case = ('<testcase name="g" status="fail"><failure/><system-out>'
                "[       OK ] A.b (0 ms)\n[ RUN      ] A.c\n</system-out></testcase>")
        self.assertEqual(self.count(case), ("1 passed, 1 failed", 1))


class CheckDocs(unittest.TestCase):
    def findings(self, block):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "page.md")
            with open(path, "w") as file:
                file.write("Text.\n\n```" + block + "```\n")
            done = subprocess.run(
                [sys.executable, os.path.join(ROOT, "utils", "check-docs.py"),
                 "--only=" + path, "--tools=" + folder],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            return done.stdout, done.returncode

    def test_output_holds(self):
        self.assertEqual(
            self.findings("console run\n$ echo one\none\n$ printf 'a\\n\\nb\\n' | \\\n  cat\na\n\nb\n"),
            ("1 files, 0 findings\n", 0))

    def test_other_output(self):
        text, status = self.findings("console run\n$ echo one\ntwo\n")
        self.assertEqual(status, 1)
        self.assertIn("page.md: another output of\necho one\n", text)
        self.assertIn("-two\n+one\n", text)

    def test_missing_output(self):
        self.assertEqual(self.findings("console run\n$ echo one; echo two\none\n")[1], 1)
        self.assertEqual(self.findings("console run\n$ echo one\n")[1], 1)

    def test_command_that_fails(self):
        text, status = self.findings("console run\n$ echo one; exit 3\none\n")
        self.assertEqual(status, 1)
        self.assertIn("exit 3 from", text)

    def test_no_command(self):
        self.assertEqual(self.findings("console run\none\n")[1], 1)

    def test_other_blocks_are_text(self):
        self.assertEqual(self.findings("console\n$ echo one\ntwo\n")[1], 0)


unittest.main()
