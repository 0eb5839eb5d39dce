"""Lets the packaged PyTorch, which is linked against CUDA, be imported and used on the CPU without gigabytes of CUDA libraries.

usage: cuda_stubs.py       (with the environment's own Python, after torch was installed without its dependencies)

Beside PyTorch's libraries it builds, with `cc`, one small library for each CUDA library that they name and that is not
installed. It defines the functions that they want from it, and each of them only reports a failure. Nothing that works on
the CPU calls one: what computes is PyTorch's own, unchanged.
"""

import collections
import importlib.util
import pathlib
import re
import subprocess
import tempfile

CUDA_LIBRARY = re.compile(r"lib(cu|nccl|nvrtc|nvshmem)\w*\.so\.\d+")
CUDA_FUNCTION = re.compile(r"_*(cu[A-Zbdfps]|nccl|nvrtc|nvshmem)\w+")


def said(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


def build(path, version, functions):
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stub.c"), pathlib.Path(folder, "versions")
        source.write_text("".join(f"int {name}(void) {{ return 1; }}\n" for name in sorted(functions)))
        script.write_text(f"{version} {{ *; }};\n")
        flags = [f"-Wl,-soname,{path.name}", f"-Wl,--version-script={script}"]
        said("cc", "-shared", "-fPIC", "-nostdlib", "-fno-builtin", *flags, "-o", path, source)


def main():
    folder = pathlib.Path(importlib.util.find_spec("torch").origin).parent / "lib"
    packages = folder.parent.parent / "nvidia"
    needed, wanted = set(), collections.defaultdict(set)
    for library in folder.glob("lib*.so"):
        for line in said("readelf", "--dynamic", "--wide", library).splitlines():
            found = re.search(r"\(NEEDED\).*\[(.*)\]", line)
            if found and CUDA_LIBRARY.fullmatch(found[1]):
                needed.add(found[1])
        for line in said("nm", "--dynamic", "--undefined-only", library).splitlines():
            name, _, version = line.split()[-1].partition("@")
            if CUDA_FUNCTION.fullmatch(name):
                wanted[version].add(name)
    # A version is the library's name, but for NVSHMEM's. Names without a version may lie in any library.
    wanted["libnvshmem_host.so.3"] = wanted.pop("NVSHMEM", set())
    wanted["libnccl.so.2"] |= wanted.pop("", set())
    for name in sorted(needed - {"libcuda.so.1"}):
        if not list(packages.glob(f"*/lib/{name}")):
            build(folder / name, "NVSHMEM" if "nvshmem" in name else name, wanted[name])


if __name__ == "__main__":
    main()
