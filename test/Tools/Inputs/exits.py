"""exits.py CODE COMMAND...: succeeds if the command returns exactly CODE."""

import subprocess
import sys

wanted = int(sys.argv[1])
got = subprocess.run(sys.argv[2:], stderr=subprocess.STDOUT).returncode
if got != wanted:
    print(f"exit code {got}, wanted {wanted}")
    sys.exit(1)
