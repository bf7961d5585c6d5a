"""Lets the PyTorch that pip installs run on a machine without a GPU, without the 2 GB of CUDA libraries that it asks for.

    python3 nocuda.py           # by the Python whose PyTorch it is; needs gcc and binutils

On a CPU none of those libraries is ever called, but the loader wants every one that PyTorch's own name. So each that is
missing becomes a small one with the same name and functions, which all say "there is no such device" (error 100).
"""
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

OURS = re.compile(r'(__cuda|cu|nv|nccl)')
NO_DEVICE = 'int {}(void) {{ return 100; }}\n'


def out(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main():
    folder = Path(find_spec('torch').submodule_search_locations[0]) / 'lib'
    libraries = sorted(folder.glob('*.so*'))
    wanted = {name for path in libraries for name in re.findall(r'NEEDED.*\[(.*)\]', out('readelf', '-Wd', path))}
    missing = sorted(n for n in wanted if OURS.match(n.removeprefix('lib')) and not (folder / n).exists())
    if not missing or find_spec('nvidia'):
        return
    called, defined = {}, set()
    for path in libraries:
        for line in out('nm', '-D', path).splitlines():
            kind, symbol = line.split()[-2:]
            name, _, version = symbol.partition('@')
            if kind == 'U' and OURS.match(name):
                called[name] = version
            elif kind != 'U':
                defined.add(name)
    stubs = {n: {} for n in missing}
    cudart = next(n for n in missing if n.startswith('libcudart.'))             # which all of PyTorch's libraries load
    other = {'NVSHMEM': next((n for n in missing if n.startswith('libnvshmem')), cudart), '': cudart}
    for name, version in called.items():
        if name not in defined:
            stubs[version if version in stubs else other[version]][name] = version
    for library, functions in stubs.items():
        build(folder / library, functions)
    print(f'{folder}: {len(missing)} CUDA libraries stand in for what a CPU never calls')


def build(path, functions):
    "A library with these functions and their versions (most carry the library's own name as theirs)"
    versions = sorted({v for v in functions.values() if v})
    with tempfile.NamedTemporaryFile('w', suffix='.map') as script:
        script.write(''.join(f'{v} {{ global: *; }};\n' for v in versions) or '{ global: *; };\n')
        script.flush()
        subprocess.run(['gcc', '-shared', '-fPIC', '-w', '-fno-builtin', '-nostdlib', '-x', 'c', '-', '-o', path, f'-Wl,-soname,{path.name}',
                        f'-Wl,--version-script={script.name}'], input=''.join(map(NO_DEVICE.format, functions)), text=True, check=True)


if __name__ == '__main__':
    sys.exit(main())
