"""Make torchvision importable beside a torch for CPUs, in the environment of the interpreter that runs this; `make` calls it.

PyPI's torchvision is built for CUDA. Beside a CPU build of torch its library of operators doesn't load, and then
`import torchvision` ends with "operator torchvision::nms does not exist", as it annotates operators that aren't there.
Its transforms are plain Python and need none of them. So two files are put into site-packages, by which those operators are declared
(with no implementation: calling one is an error) at the moment in which torchvision wants to annotate them.

Where torchvision imports by itself, as it does when torch and torchvision come from one index, nothing is written.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

NAME = "_declared_torchvision_operators"  # of the two files; not the name of this script, which may be on the path too
HOOK = '''"""Written by scripts/torchvision_for_cpus.py of fgbg_depth: declares the operators that torchvision annotates."""

import sys


class Declare:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision._meta_registrations" and not sys.modules["torchvision.extension"]._has_ops():
            import torch

            for operator in ("nms", "qnms"):
                torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return None  # others find the module


sys.meta_path.insert(0, Declare())
'''


def main():
    try_import = [sys.executable, "-c", "import torchvision"]
    if subprocess.run(try_import, capture_output=True, check=False).returncode == 0:
        return 0
    site = Path(sysconfig.get_path("purelib"))
    (site / f"{NAME}.py").write_text(HOOK)
    (site / f"{NAME}.pth").write_text(f"import {NAME}\n")
    done = subprocess.run(try_import, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"torchvision can't be imported:\n{done.stderr[-2000:]}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
