#!/usr/bin/env bash
# The work that waits for a GPU: tests, benchmarks, models of published size, reference weights, boards. Each step can be
# skipped, interrupted and resumed.
#
#   benchmarks/gpu/run.sh                     all steps
#   benchmarks/gpu/run.sh tests benchmarks    only these
#   SLICES=3 BUDGET=60m benchmarks/gpu/run.sh models
#   LIMIT=540 OUT=somewhere benchmarks/gpu/run.sh
#
# Needs an environment with torch for CUDA and the packages of requirements.txt. What can be set:
#
#   WORK      build/gpu: records, weights and checkpoints, from which the same command goes on
#   OUT       $WORK/out: what is worth taking home: one log, records, pages, weights of at most 16 MB
#   LIMIT     seconds after which nothing is begun and what runs is interrupted; none where it is not set
#   DEVICE    cuda
#   CLIPS     1000: evaluated per record
#   MODELS    those of 64.toml
#   SLICES    10: how many slices of two minutes each model is to have had
#   BUDGET    20m: what the slices add up to, which decides how the learning rate falls
#   SPEED     options of model_speed.py
#   SEEDS, SEED_BUDGET   0 1 2, 8m: of the reference weights of latentode
set -uo pipefail
cd "$(dirname "$0")/../.."
WORK=${WORK:-build/gpu}
OUT=${OUT:-$WORK/out}
LIMIT=${LIMIT:-}
DEVICE=${DEVICE:-cuda}
CLIPS=${CLIPS:-1000}
MODELS=${MODELS:-convlstm phydnet predrnn predrnn-pp predrnn-v2 simvp simvp-gsta tau latentode}
SLICES=${SLICES:-10}
BUDGET=${BUDGET:-20m}
SPEED=${SPEED:---batch-size 16 --repeats 5}
SEEDS=${SEEDS:-0 1 2}
SEED_BUDGET=${SEED_BUDGET:-8m}
STEPS=${*:-doctor tests benchmarks models weights boards}
COLLECTING=20     # seconds kept for what comes last
SLICE_SECONDS=150 # of a slice with its evaluation, about: with less time than that none is begun
mkdir -p "$OUT" "$WORK"
failed=0

# On a bare checkout: the packages alone, for an environment that has their dependencies already.
if ! command -v vpbench > /dev/null; then
    python3 -m pip install -q --no-deps --no-build-isolation . ./plugins/*/ || exit 1
fi

left() { echo $((LIMIT - SECONDS - COLLECTING)); }
time_is_up() { [ -n "$LIMIT" ] && [ "$(left)" -lt "${1:-30}" ]; }
# Run a command for as long as there is time. vpbench takes the interrupt as a reason to save what it has.
within() {
    if [ -z "$LIMIT" ]; then
        "$@"
    elif time_is_up; then
        echo "no time is left for: $*"
        return 1
    else
        timeout --signal=INT --kill-after=15 "$(left)" "$@"
    fi
}

step() {
    local name=$1
    case " $STEPS " in *" $name "*) ;; *) return 0 ;; esac
    if time_is_up; then
        echo "== $name: no time is left" | tee -a "$OUT/log.txt"
        return 0
    fi
    echo "== $name, after $SECONDS s" | tee -a "$OUT/log.txt"
    "$name" 2>&1 | tee -a "$OUT/log.txt"
    if [ "${PIPESTATUS[0]}" = 0 ]; then
        return 0
    elif time_is_up; then
        echo "== $name: interrupted, the same command goes on" | tee -a "$OUT/log.txt"
    else
        echo "== $name FAILED" | tee -a "$OUT/log.txt"
        failed=1
    fi
}

# What the machine is, for whoever reads the log; and what would make the rest a waste of its time.
doctor() { within vpbench doctor; }
tests() { within python3 -m pytest -q -m gpu tests plugins; }
benchmarks() {
    local options bad=0
    read -ra options <<< "$SPEED"
    within python3 benchmarks/model_speed.py --device "$DEVICE" "${options[@]}" || bad=1
    within python3 benchmarks/metrics_ssim.py || bad=1
    return $bad
}

# Models of published size take turns, a slice each. What a model that fails has cost is no reason to stop the others.
models() {
    local slice model bad=0
    mkdir -p "$WORK/slices"
    for slice in $(seq "$SLICES"); do
        for model in $MODELS; do
            [ "$(slices_of "$model")" -lt "$slice" ] || continue
            if time_is_up "$SLICE_SECONDS"; then
                echo "too little time is left for a slice: the same command goes on with $model, slice $slice"
                return $bad
            fi
            echo "-- $model, slice $slice of $SLICES"
            if within vpbench run benchmarks/gpu/64.toml --model "$model" --train "$BUDGET" --device "$DEVICE" \
                --clips "$CLIPS" --results "$WORK/64"; then
                echo >> "$WORK/slices/$model"
            else
                bad=1
            fi
        done
    done
    return $bad
}
slices_of() { if [ -f "$WORK/slices/$1" ]; then wc -l < "$WORK/slices/$1"; else echo 0; fi; }

# Weights of several seeds, so that a board can say what training again gives. The same command resumes from its
# checkpoint, which lies beside the output, and has nothing to do where the weights are finished.
trained() { echo "$WORK/latentode-moving-mnist-$1-seed$2.safetensors"; }
weights() {
    local seed setup
    for seed in $SEEDS; do
        for setup in "10 90" "2 38"; do
            set -- $setup
            within vpbench train --model latentode --dataset moving-mnist --context "$1" --horizon "$2" --seed "$seed" \
                --device "$DEVICE" --precision bfloat16 --batch-size 128 --budget "$SEED_BUDGET" \
                --output "$(trained "$1" "$seed")" || return 1
        done
    done
}
# The bundled weights, those of each seed (one row of the board), floors and ceilings.
boards() {
    local context seed
    local run=(vpbench run results/figure-9.toml --clips "$CLIPS" --device "$DEVICE" --batch-size 64
        --results "$WORK/results")
    within "${run[@]}" || return 1
    for context in 10 2; do
        for seed in $SEEDS; do
            [ ! -f "$(trained "$context" "$seed")" ] || within "${run[@]}" --part "$context-frames" \
                --weights "$(trained "$context" "$seed")" || return 1
        done
    done
}

# What is worth taking home, whatever happened before. Larger weights are told of by their records alone.
collect() {
    local folder file
    for folder in 64 results; do
        compgen -G "$WORK/$folder/*/*/*.json" > /dev/null || continue
        tar -czf "$OUT/records-$folder.tar.gz" -C "$WORK" --exclude=weights "$folder"
        vpbench report --results "$WORK/$folder" --output "$OUT/report-$folder.html" > /dev/null
    done
    find "$WORK" -name '*.safetensors' -size -16000k -not -path "$OUT/*" -print0 | while IFS= read -r -d '' file; do
        cp "$file" "$OUT/"
    done
    ls -l "$OUT"
}

for name in doctor tests benchmarks models weights boards; do
    step "$name"
done
collect
exit $failed
