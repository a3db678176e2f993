"""Compiles the kernels into the package when it is built; without a compiler the package is built all the same."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from edgepack.kernels.recipe import arguments, packaged, variants

        compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
        made = [_compile(compiler, arguments, packaged(variant), variant) for variant in variants() if compiler]
        if any(made) and version != "editable":
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _compile(compiler: str, arguments: Any, target: Path, variant: Any) -> bool:
    if target.is_file():
        return True
    target.parent.mkdir(exist_ok=True)
    for old in target.parent.glob(f"{variant}-*.so"):
        old.unlink()
    partial = target.with_suffix(".partial")
    done = subprocess.run([compiler, *arguments(variant, partial)], capture_output=True, check=False)
    if done.returncode == 0:
        partial.replace(target)
    return done.returncode == 0
