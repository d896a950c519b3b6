#!/usr/bin/env bash
# The work that waits for a GPU: tests, benchmarks, reference weights, boards. Each step can be skipped and resumed.
#
#   benchmarks/gpu/run.sh                     all steps, into build/gpu
#   benchmarks/gpu/run.sh tests weights      only these
#   OUT=somewhere BUDGET=8m SEEDS="0 1" benchmarks/gpu/run.sh weights
#
# Needs an environment with torch for CUDA and the packages of requirements.txt.
set -uo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-build/gpu}
BUDGET=${BUDGET:-8m}
CLIPS=${CLIPS:-1000}
SEEDS=${SEEDS:-0 1 2}
STEPS=${*:-doctor tests benchmarks weights boards}
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

# What the machine is, for whoever reads the logs; and what would make the rest a waste of its time.
doctor() { vpbench doctor; }
tests() { python3 -m pytest -q -m gpu tests plugins; }
benchmarks() { python3 benchmarks/metrics_ssim.py; }
# Weights of several seeds, so that a board can say what training again gives. The same command resumes from its
# checkpoint, which lies beside the output, and has nothing to do where the weights are finished.
trained() { echo "$OUT/latentode-moving-mnist-10-seed$1.safetensors"; }
weights() {
    local seed
    for seed in $SEEDS; do
        vpbench train --model latentode --dataset moving-mnist --context 10 --horizon 90 --seed "$seed" --device cuda \
            --precision bfloat16 --batch-size 128 --budget "$BUDGET" --output "$(trained "$seed")" || return 1
    done
}
# The bundled weights, those of each seed (one row of the board), floors and ceilings.
boards() {
    local seed
    vpbench run results/10-frames.toml --clips "$CLIPS" --device cuda --batch-size 64 --results "$OUT/results" || return 1
    for seed in $SEEDS; do
        [ ! -f "$(trained "$seed")" ] || vpbench run results/10-frames.toml --clips "$CLIPS" --device cuda \
            --batch-size 64 --results "$OUT/results" --weights "$(trained "$seed")" || return 1
    done
    vpbench report --results "$OUT/results" --output "$OUT/report.html"
}

step doctor doctor
step tests tests
step benchmarks benchmarks
step weights weights
step boards boards
exit $failed
