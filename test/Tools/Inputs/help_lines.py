"""help_lines.py EINHEAD: fails if a help text is longer than a screen."""

import subprocess
import sys

LINES, COLUMNS = 60, 132
verbs = ["run", "compile", "explain", "bench", "tune", "import", "convert-heads", "inspect",
         "doctor"]
for arguments in [[]] + [[verb] for verb in verbs]:
    command = [sys.argv[1], *arguments, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = text.splitlines()
    assert len(lines) <= LINES, f"{command}: {len(lines)} lines"
    widest = max(lines, key=len)
    assert len(widest) <= COLUMNS, f"{command}: {len(widest)} columns: {widest}"
    if not arguments:
        assert all(verb in text for verb in verbs)
