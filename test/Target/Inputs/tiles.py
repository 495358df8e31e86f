"""tiles.py CODE.ll CODE.s: each tile operation of the IR is one instruction.

More loads and stores than the IR has are tiles that were spilled; more
configurations than one are tiles configured in a loop."""

import sys

ir, assembly = (open(path).read() for path in sys.argv[1:])


def check(instruction, wanted):
    got = sum(line.split()[1:2] == [instruction] for line in assembly.splitlines())
    assert got == wanted > 0, f"{instruction}: {got}, wanted {wanted}"


def calls(name):
    return sum("call" in line and f"@llvm.x86.{name}.internal(" in line for line in ir.splitlines())


check("ldtilecfg", 1)
check("tilerelease", 1)
check("tdpbf16ps", calls("tdpbf16ps"))
check("tileloadd", calls("tileloadd64"))
check("tilestored", calls("tilestored64"))
