"""Start-up time of the command line: `vpbench --help` beside bare python and `import torch`, interleaved in one run.

python benchmarks/startup.py
"""

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 10
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "vpbench --help": [str(Path(sys.executable).with_name("vpbench")), "--help"],
    "vpbench run --help": [str(Path(sys.executable).with_name("vpbench")), "run", "--help"],
    "vpbench plugins": [str(Path(sys.executable).with_name("vpbench")), "plugins"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    wall: dict[str, list[float]] = {name: [] for name in COMMANDS}
    cpu: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            before, start = cpu_s(), time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(cpu_s() - before)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; minimum of {ROUNDS}, interleaved\n")
    print("| command | wall ms | CPU ms | CPU, times bare python |\n|---|---|---|---|")
    bare = min(cpu["python -c pass"])
    for name in COMMANDS:
        print(f"| `{name}` | {1e3 * min(wall[name]):.0f} | {1e3 * min(cpu[name]):.0f} | {min(cpu[name]) / bare:.1f} |")


if __name__ == "__main__":
    main()
