#!/usr/bin/env python3
"""Counts the tests of one or more build folders; prints `N passed, N failed`.

A build folder holds ctest.xml (ctest --output-junit) and, where its suite ran
lit, test/lit.xml: then lit's own tests are counted in place of the one ctest
test `lit`.  A ctest test that is a GoogleTest program counts as the tests that
it ran.  Exits non-zero when a test failed or when none passed.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def cases(path):
    """Yields (name, "passed" | "failed" | "skipped") from a JUnit file."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        if path.endswith("lit.xml"):
            name = case.get("classname", "") + "/" + name
        gtest = list(gtest_cases(name, case.findtext("system-out") or ""))
        yield from gtest
        if any(status == "failed" for _, status in gtest):
            continue
        if gtest and case.get("status") == "run":
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.find("skipped") is not None:
            yield name, "skipped"
        elif case.get("status") in (None, "run"):
            yield name, "passed"
        else:  # ctest: fail, notrun, disabled
            yield name, "skipped" if case.get("status") == "disabled" else "failed"


def gtest_cases(program, output):
    """Yields the tests of a GoogleTest program from what it printed."""
    line = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] ([\w./]+)(?:, where .*)? \(\d+ ms\)$", re.M)
    for status, name in line.findall(output):
        status = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[status]
        yield f"{program}: {name}", status


def results(build):
    ctest = os.path.join(build, "ctest.xml")
    if not os.path.exists(ctest):
        return [(f"{build}: no ctest.xml, so nothing ran", "failed")]
    found = list(cases(ctest))
    lit = os.path.join(build, "test", "lit.xml")
    if any(name == "lit" for name, _ in found):
        of_lit = list(cases(lit)) if os.path.exists(lit) else []
        lit_failed = ("lit", "failed") in found
        if of_lit and lit_failed == any(status == "failed" for _, status in of_lit):
            found = [case for case in found if case[0] != "lit"] + of_lit
    return [(f"{build}: {name}", status) for name, status in found]


def main():
    found = [case for build in sys.argv[1:] for case in results(build)]
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, status in found:
        count[status] += 1
        if status == "failed":
            print("failed:", name)
    if count["skipped"]:
        print(f"{count['skipped']} skipped (this machine lacks what they need)")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return 0 if count["passed"] and not count["failed"] else 1


sys.exit(main())
