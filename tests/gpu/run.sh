#!/usr/bin/env bash
# Everything that an owner of a GPU should run of minikd, in under six minutes, with its findings in one folder.
#
#   bash tests/gpu/run.sh                      # all steps, in order
#   ONLY="env check" bash tests/gpu/run.sh     # some of them
#   FORCE=1 bash tests/gpu/run.sh              # steps that are done already, once more
#
# Start it in the checkout, with a Python that has minikd's `test` extra, CuPy and, for the comparison, PyTorch with CUDA.
#
#   OUT      folder of the findings (default: gpu-run): summary.md is the page to read, the folder is what to send
#   PY       the Python (default: python3)
#   WORKERS  processes of the test suite, with pytest-xdist (default: 12, at most one a core)
#   BUDGET   seconds of all steps together (default: 345); the same command goes on where they ended
#   DRY=4    batches of 4 and no limits, to see that the script runs: on the stand-in device, by tests/gpu/test_run.py
#
# The same command goes on after an interruption with the first step that is not done. A step that fails or runs out of
# time is noted, and the next one starts. Nothing is downloaded, and no setting of the card is touched.
#
#   step    limit   what it answers
#   env      30 s   which card, driver and versions; does each of CUDA's libraries answer; the card's ceilings
#   device   45 s   the border between host and device: if these tests fail, read no further
#   check    60 s   minikd gpu-check: every layer, loss and model beside NumPy, float64 and float32
#   bench    90 s   what a training step costs, one by one and as a CUDA graph, beside PyTorch; batch 128 and 1,024
#   tf32     50 s   the same with products rounded to TF32
#   job      80 s   the main job on the device, seed 0: its errors beside NumPy's
#   lesson   40 s   lesson 15's section on a GPU
#   suite   110 s   the tests of all that meets the device's arrays
#   rest     60 s   the other tests
#   compiled 60 s   the teacher's and the student's step beside torch.compile
set -uo pipefail
unset PYTEST_XDIST_WORKER  # of a test that tries this script
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
OUT=$(realpath -m "${OUT:-gpu-run}") PY=${PY:-python3} WORKERS=${WORKERS:-12} BUDGET=${BUDGET:-345} DRY=${DRY:-}
FOUND=$OUT/findings.jsonl LOG=$OUT/run.log
export OUT PY DRY FOUND PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
mkdir -p "$OUT/done" && touch "$FOUND"
cores=$(nproc) && ((WORKERS > cores)) && WORKERS=$cores
PYTEST="$PY -m pytest -p no:cacheprovider --backend cupy" SPREAD=""
if [[ -z $DRY ]] && "$PY" -c 'import xdist' 2>/dev/null && ((WORKERS > 1)); then
    PYTEST="$PYTEST -p xdist.plugin" SPREAD="-n $WORKERS --dist worksteal"
fi
ON_THE_DEVICE="tests/nn tests/losses tests/methods tests/training tests/backends tests/compression tests/distillation
    tests/test_device.py tests/test_optim.py tests/test_gradients.py tests/test_models.py tests/test_weights.py"
export PYTEST SPREAD ON_THE_DEVICE
"$PY" tests/gpu/requirements.py "$FOUND"

# step NAME LIMIT COMMAND: run it unless it is done; its whole output goes to the log, its last lines to the screen.
step() {
    local name=$1 limit=$2 from=$SECONDS left=$((BUDGET - SECONDS)) result; shift 2
    [[ -n ${ONLY:-} && " $ONLY " != *" $name "* ]] && return
    [[ -e $OUT/done/$name && -z ${FORCE:-} ]] && { echo "== $name: done before"; return; }
    if [[ -z $DRY ]] && ((left < limit)); then limit=$left; fi
    if ((limit <= 0)); then
        printf '{"step": "%s", "result": "no time left", "seconds": 0}\n' "$name" >>"$FOUND"
        echo "== $name: no time left; start the script again"
        return
    fi
    echo "== $name (at most $limit s)"
    timeout --kill-after=5 "$( [[ -n $DRY ]] && echo 0 || echo "$limit" )" bash -c "$1" >"$OUT/done/.output" 2>&1; result=$?
    { echo "== $name"; cat "$OUT/done/.output"; } >>"$LOG"
    tail -n 8 "$OUT/done/.output" | cut -c1-200
    case $result in
    0) touch "$OUT/done/$name"; said=ok ;;
    124 | 137) said="out of time" ;;
    *) said="failed ($result)" ;;
    esac
    printf '{"step": "%s", "result": "%s", "seconds": %d}\n' "$name" "$said" $((SECONDS - from)) >>"$FOUND"
    echo "   $said, $((SECONDS - from)) s"
}

step env 30 '"$PY" tests/gpu/env.py "$FOUND"'
step device 45 '$PYTEST tests/test_device.py ${DRY:+-k mixed}'
step check 60 '"$PY" -m minikd gpu-check --output "$OUT/gpu-check.json" ${DRY:+--batch-size 4 --steps 2}'
BENCH='"$PY" -m minikd bench --backend cupy --batch-size'
QUICK='4 --quick --only baseline student'
step bench 90 "$BENCH $([[ -n $DRY ]] && echo "$QUICK" || echo 128 1024) --no-compile --output \"\$OUT/bench.json\""
[[ -z $DRY ]] && step tf32 50 "$BENCH 128 1024 --tf32 --no-compile --output \"\$OUT/tf32.json\""
step job 80 '
    rm -rf "$OUT/done/runs"
    "$PY" -m minikd distill --backend cupy --runs "$OUT/done/runs" --name cupy --quiet $("$PY" tests/gpu/job.py flags "$OUT/done") &&
    "$PY" tests/gpu/job.py compare "$OUT/done/runs/cupy/results.json" "$FOUND"'
step lesson 40 '"$PY" lessons/15_gpu.py --quick'
step suite 110 'TESTS=suite.jsonl $PYTEST $SPREAD -p tests.gpu.as_they_end $([[ -n $DRY ]] && echo tests/nn/test_linear.py || echo $ON_THE_DEVICE)'
[[ -z $DRY ]] && step rest 60 'TESTS=rest.jsonl $PYTEST $SPREAD -p tests.gpu.as_they_end tests $(printf " --ignore=%s" $ON_THE_DEVICE)'
[[ -z $DRY ]] && step compiled 60 "$BENCH 128 --only teacher student --output \"\$OUT/compiled.json\""

"$PY" tests/gpu/summary.py "$OUT" && echo "read $OUT/summary.md; to report, attach the folder $OUT to an issue"
