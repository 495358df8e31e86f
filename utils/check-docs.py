#!/usr/bin/env python3
"""Checks what the documents and the sources say of themselves.

  links      every relative link and anchor-free path in a .md file exists
  commands   fenced blocks that open with ```sh run exit 0 (with --tools)
  outputs    fenced blocks that open with ```console run hold what their
             "$ " lines print to standard output (with --tools)
  passes     every pass of a Passes.td has a lit test and stands in docs/
  files      no file over 500 lines without a reason in its first 15 lines
             ("Long because ..."), no path over 75 characters
  words      no absolute paths of a home or a machine, no notes to self

Prints one line a finding; exits 1 when there is one.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED_FOLDERS = {".git", "build", "install", "shared", ".cache", "__pycache__"}
SOURCES = (".cpp", ".h", ".c", ".td", ".py", ".sh", ".cmake", ".txt", ".md", ".mlir", ".test")
# Spelled in two halves, so that this file passes its own check.
FORBIDDEN = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "a note to self; do it or write an issue"),
    (re.compile(r"(?<![\w.])/(ho" r"me|wo" r"rk|ro" r"ot|Us" r"ers)/"), "an absolute path of one machine"),
]


def tracked_files():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def check_links(path, text):
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:|#", target):
            continue
        place = os.path.join(ROOT, os.path.dirname(path), target.split("#")[0])
        if not os.path.exists(place):
            yield f"{path}: link to {target}, which is not there"


def with_tools(tools):
    return dict(os.environ, PATH=tools + os.pathsep + os.environ.get("PATH", ""))


def check_commands(path, text, tools):
    environment = with_tools(tools)
    for block in re.findall(r"^```sh run\n(.*?)^```", text, flags=re.S | re.M):
        done = subprocess.run(["sh", "-e", "-c", block], cwd=ROOT, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120)
        if done.returncode != 0:
            yield f"{path}: exit {done.returncode} from\n{block}{done.stdout[-2000:]}"


def transcript(block):
    """The (command, output) pairs of a block; a command may go on after a \\."""
    pairs = []
    for line in block.splitlines():
        if pairs and not pairs[-1][1] and pairs[-1][0].endswith("\\\n"):
            pairs[-1][0] += line + "\n"
        elif line.startswith("$ "):
            pairs.append([line[2:] + "\n", []])
        elif pairs:
            pairs[-1][1].append(line)
        else:
            pairs.append(["", [line]])
    return pairs


def check_outputs(path, text, tools):
    for block in re.findall(r"^```console run\n(.*?)^```", text, flags=re.S | re.M):
        for command, wanted in transcript(block):
            if not command:
                yield f"{path}: output before the first command: {wanted[0]}"
                continue
            done = subprocess.run(["sh", "-e", "-c", command], cwd=ROOT, env=with_tools(tools),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=120)
            got = done.stdout.splitlines()
            if done.returncode != 0:
                yield f"{path}: exit {done.returncode} from\n{command}{done.stderr[-2000:]}"
            elif got != wanted:
                difference = "\n".join(difflib.unified_diff(
                    wanted, got, "the document", "the command", lineterm=""))
                yield f"{path}: another output of\n{command}{difference}"


def check_passes(files):
    flags = [flag for path in files if os.path.basename(path) == "Passes.td"
             for flag in re.findall(r':\s*Pass<"([^"]+)"', read(path))]
    tests = {path: read(path) for path in files
             if path.startswith("test/") and path.endswith((".mlir", ".test"))}
    pages = "".join(read(path) for path in files
                    if path.startswith("docs/") and not path.startswith("docs/Generated/")
                    and path.endswith(".md"))
    for flag in flags:
        mention = re.compile(re.escape(flag) + r"(?![\w-])")
        runs = [line for text in tests.values() for line in text.splitlines()
                if "RUN:" in line or line.lstrip("/# ").startswith("--")]
        if not any(mention.search(line) for line in runs):
            yield f"pass {flag}: no lit test runs it"
        if not mention.search(pages):
            yield f"pass {flag}: no page of docs/ names it"


def check_file(path, text):
    lines = text.splitlines()
    if len(path) > 75:
        yield f"{path}: the path is over 75 characters"
    if (len(lines) > 500 and not path.startswith("docs/Generated/")
            and not any("ong because" in line for line in lines[:15])):
        yield f"{path}: {len(lines)} lines; split it, or say \"Long because ...\" at its top"
    for number, line in enumerate(lines, 1):
        for pattern, why in FORBIDDEN:
            if pattern.search(line):
                yield f"{path}:{number}: {why}: {line.strip()[:80]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", help="folder of einhead-opt: also runs the commands")
    parser.add_argument("--only", metavar="FILE.md", help="check the blocks of one document")
    arguments = parser.parse_args()
    files = [arguments.only] if arguments.only else list(tracked_files())
    findings = [] if arguments.only else list(check_passes(files))
    for path in files:
        if path.endswith(SOURCES) or os.path.basename(path) == "dev":
            text = read(path)
            findings += check_file(path, text)
            if path.endswith(".md"):
                findings += check_links(path, text)
                if arguments.tools:
                    tools = os.path.abspath(arguments.tools)
                    findings += check_commands(path, text, tools)
                    findings += check_outputs(path, text, tools)
    for finding in findings:
        print(finding)
    print(f"{len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


sys.exit(main())
