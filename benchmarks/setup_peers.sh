#!/usr/bin/env bash
# Install the peers that eegfm is measured against, and what peers without a package keep their windows in, for the
# Python on the PATH (activate the environment first).
#
# They go into a folder of their own inside the environment, which only the benchmarks' processes look into, and
# without their dependencies: nothing that eegfm runs with is replaced or added to. braindecode cannot be imported
# without torchaudio, whose wheels need a CUDA build of torch; the functions measured here do not use it, so that an
# empty package of that name stands in where the real one cannot be imported.
set -euo pipefail

peers="$(python -c 'import sys; print(sys.prefix)')/eegfm_peers"

python -m pip install --quiet --upgrade --no-deps --target "$peers" \
    braindecode==1.8.1 \
    axial-positional-embedding==0.3.12 \
    CoLT5-attention==0.11.1 \
    docstring_inheritance==3.0.0 \
    einops==0.8.2 \
    hyper-connections==0.4.11 \
    linear_attention_transformer==0.19.1 \
    linformer==0.2.3 \
    lmdb==3.0.0 \
    local-attention==1.11.2 \
    product-key-memory==0.3.0 \
    skorch==1.4.0 \
    tabulate==0.9.0 \
    torchinfo==1.8.0 \
    wfdb==4.3.1

if ! python -c 'import torchaudio' 2>/dev/null; then
    mkdir -p "$peers/torchaudio"
    for module in __init__ functional transforms; do
        cat > "$peers/torchaudio/$module.py" <<'STUB'
"""Stands in for torchaudio; every name exists, and none can be called."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    class Absent:
        def __init__(self, *args, **kwargs):
            raise RuntimeError(f"torchaudio.{name} is not there: this is the benchmarks' stand-in")

    return Absent
STUB
    done
fi

PYTHONPATH="$peers" python -W ignore -c 'import braindecode.preprocessing; print("braindecode", braindecode.__version__)'
PYTHONPATH="$peers" python -c 'import lmdb; print("lmdb", lmdb.__version__)'
