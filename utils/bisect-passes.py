#!/usr/bin/env python3
"""Finds the pass that broke a number.

  bisect-passes.py FILE.mlir [--opt=COMMAND] [--size=b=2,m=300] [PASS...]

Each PASS is an element of a pipeline over the module ("canonicalize",
"func.func(attn-raise)", "einhead-to-attention").  The function of FILE is run
once without any of them: every op is lowered by itself, and the result is
compared with the oracle.  Then the passes are halved: the first n are run by
COMMAND, the module that they leave is lowered op by op as well, and its outputs
on the same inputs are compared with the first ones.  So nothing but the first n
passes can have changed a number.

Without PASS, it is the passes of Einhead to level 'scheduled'; if they keep the
numbers, the compiled module is compared too, and a difference lies between
--attn-split-keys and code.

Exit code 0: all keep the numbers.  1: the pass is named.  2: the input itself is
wrong or cannot be run.
"""

import argparse
import ast
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile

OUR_PASSES = ["einhead-to-attention", "func.func(attn-fuse-shared-kv)", "func.func(attn-schedule)"]
TAIL = "a pass from attn-split-keys to code (levels tiled, vector, llvm)"


class Failure(Exception):
    """What cannot be compared, with the words of the tool that said so."""


def read_npy(path):
    """Shape and numbers of an array of floats or integers."""
    with open(path, "rb") as file:
        data = file.read()
    length, start = struct.unpack_from("<H", data, 8)[0], 10
    if data[6] >= 2:
        length, start = struct.unpack_from("<I", data, 8)[0], 12
    header = ast.literal_eval(data[start:start + length].decode("latin-1"))
    codes = {"<f4": "f", "<f8": "d", "<f2": "e", "<i8": "q", "<i4": "i", "|i1": "b", "|u1": "B"}
    code = codes.get(header["descr"])
    if code is None:
        raise Failure(f"{path}: no numbers of type {header['descr']} are known here")
    body = data[start + length:]
    return header["shape"], struct.unpack("<%d%s" % (len(body) // struct.calcsize(code), code), body)


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f"{shlex.join(command)}\n{done.stdout.strip()}")
    return done.stdout


class Bisection:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.einhead = os.path.join(arguments.tools, "einhead") if arguments.tools else "einhead"
        opt = os.path.join(arguments.tools, "einhead-opt") if arguments.tools else "einhead-opt"
        self.opt = shlex.split(arguments.opt) if arguments.opt else [opt]
        self.options = ["--seed=%d" % arguments.seed, "--repeat=1", "--reproducer=none"]
        for name in ("size", "function", "length"):
            if getattr(arguments, name):
                self.options.append("--%s=%s" % (name, getattr(arguments, name)))
        self.names = []
        self.expected = {}

    def start(self):
        """Runs the input against the oracle and keeps its outputs."""
        text = run([self.einhead, "run", self.arguments.file, "--no-fuse", *self.options])
        # A cache is an output of the call, but no output that is written.
        caches = set(re.findall(r'attn\.cache = "([^"]*)"', open(self.arguments.file).read()))
        lines = re.findall(r"^  (\S+)  \S+\[.*\]  pass,", text, flags=re.M)
        self.names = [name for name in lines if name not in caches]
        if not self.names:
            raise Failure(f"{self.arguments.file} has no outputs to compare:\n{text}")
        self.expected = self.outputs(self.arguments.file, ["--no-fuse"])

    def outputs(self, path, options):
        """What the function in `path` computes."""
        files = {name: os.path.join(self.folder, f"{i}.npy") for i, name in enumerate(self.names)}
        run([self.einhead, "run", path, "--check=false", *options, *self.options,
             *[f"--output={name}={file}" for name, file in files.items()]])
        return {name: read_npy(file) for name, file in files.items()}

    def difference(self, got):
        """Says where `got` is not what is expected, or None."""
        for name, (shape, wanted) in self.expected.items():
            if got[name][0] != shape:
                return f"{name} has shape {got[name][0]}, not {shape}"
            largest = max((abs(x) for x in wanted if x == x), default=0.0) or 1.0
            for i, (x, y) in enumerate(zip(got[name][1], wanted)):
                # NaN differs from every number, and equals NaN.
                if not (abs(x - y) <= self.arguments.tolerance * largest or x == y
                        or (x != x and y != y)):
                    return f"{name}, element {i}: got {x:.9g}, expected {y:.9g}"
        return None

    def after(self, count):
        """What is wrong after the first `count` passes, or None."""
        path = os.path.join(self.folder, f"after-{count}.mlir")
        pipeline = "builtin.module(%s)" % ",".join(self.arguments.passes[:count])
        run([*self.opt, self.arguments.file, "--pass-pipeline=" + pipeline, "-o", path])
        wrong = self.difference(self.outputs(path, ["--no-fuse"]))
        which = self.arguments.passes[count - 1] if count else "nothing"
        print(f"after {which} ({count} of {len(self.arguments.passes)}): {wrong or 'right'}")
        return wrong


def bisect(bisection, passes):
    """The index of the pass that broke the numbers, or None."""
    good, bad = 0, len(passes)
    if bisection.after(bad) is None:
        return None
    while bad - good > 1:
        middle = (good + bad) // 2
        if bisection.after(middle) is None:
            good = middle
        else:
            bad = middle
    return bad - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("passes", nargs="*", metavar="PASS")
    parser.add_argument("--opt", help="the opt tool with its options (default: einhead-opt)")
    parser.add_argument("--tools", help="folder of einhead and einhead-opt (default: PATH)")
    parser.add_argument("--size", help="extents of named dimensions, as for einhead run")
    parser.add_argument("--function", help="which one, as for einhead run")
    parser.add_argument("--length", help="valid keys before the call, as for einhead run")
    parser.add_argument("--seed", type=int, default=1, help="of the random inputs")
    parser.add_argument("--tolerance", type=float, default=1e-4,
                        help="largest difference, as a part of the output's largest element")
    arguments = parser.parse_intermixed_args()
    whole = not arguments.passes
    if whole:
        arguments.passes = OUR_PASSES
    with tempfile.TemporaryDirectory() as folder:
        bisection = Bisection(arguments, folder)
        try:
            bisection.start()
            found = bisect(bisection, arguments.passes)
            if found is not None:
                print(f"the numbers break in {arguments.passes[found]}")
                return 1
            if whole:
                wrong = bisection.difference(bisection.outputs(arguments.file, []))
                print(f"compiled: {wrong or 'right'}")
                if wrong:
                    print(f"the numbers break in {TAIL}")
                    return 1
        except Failure as failure:
            print(failure, file=sys.stderr)
            return 2
    print("every pass keeps the numbers")
    return 0


sys.exit(main())
