#!/usr/bin/env bash
# The work that waits for a GPU: tests, benchmarks, reference weights, boards. Each step can be skipped and resumed.
#
#   benchmarks/gpu/run.sh                     all steps, into build/gpu
#   benchmarks/gpu/run.sh tests weights      only these
#   OUT=somewhere BUDGET=8m benchmarks/gpu/run.sh weights
#
# Needs an environment with torch for CUDA and the packages of requirements.txt.
set -uo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-build/gpu}
BUDGET=${BUDGET:-8m}
CLIPS=${CLIPS:-1000}
STEPS=${*:-tests benchmarks weights boards}
mkdir -p "$OUT"
failed=0

# On a bare checkout: the packages alone, for an environment that has their dependencies already.
if ! command -v vpbench > /dev/null; then
    python3 -m pip install -q --no-deps --no-build-isolation . ./plugins/*/ || exit 1
fi

step() {
    local name=$1
    shift
    case " $STEPS " in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name"
    "$@" 2>&1 | tee -a "$OUT/$name.log"
    if [ "${PIPESTATUS[0]}" != 0 ]; then
        echo "== $name FAILED"
        failed=1
    fi
}

tests() { python3 -m pytest -q -m gpu tests plugins; }
benchmarks() { python3 benchmarks/metrics_ssim.py; }
# The same command resumes from its checkpoint, which lies beside the output.
weights() {
    vpbench train --model latentode --dataset moving-mnist --context 10 --horizon 90 --device cuda \
        --precision bfloat16 --batch-size 128 --budget "$BUDGET" --output "$OUT/latentode-moving-mnist-10.safetensors"
}
boards() {
    local weights="$OUT/latentode-moving-mnist-10.safetensors"
    vpbench run --model latentode --dataset moving-mnist --horizon 90 --clips "$CLIPS" --device cuda \
        --batch-size 64 --results "$OUT/results" $([ -f "$weights" ] && echo --weights "$weights")
}

step tests tests
step benchmarks benchmarks
step weights weights
step boards boards
exit $failed
