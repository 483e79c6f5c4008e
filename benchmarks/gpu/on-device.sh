#!/usr/bin/env bash
# Measures on a machine with a GPU and no network, in the project's root:  bash benchmarks/gpu/on-device.sh quick|main|all
#
#   quick  (150 s)  does it work? searches, tests/gpu, short memory; what keeps a step from being a graph
#   main   (520 s)  the numbers: executors, the whole of CIFAR-10, three workers
#   all             quick, then main, in one go
#
# ONLY="executors waits" runs only these steps. LIMIT=SECONDS is the time for all of it, MINUTES that of the search (4). Each step has its own limit and is
# cut or left out when the time is up. What a step printed goes to $OUT/log.txt, the tables to $OUT/table.md.
# DEVICE=cpu is a dry run on any machine, with tiny sizes: it finds misspelt names, not the truth.
set -u
phase=${1:-all}
device=${DEVICE:-cuda}
case $phase in quick) limit=150 ;; main) limit=520 ;; all) limit=590 ;; *) sed -n '2,11p' "$0"; exit 2 ;; esac
slow=1
[ "$device" = cpu ] && limit=3000 slow=6
limit=${LIMIT:-$limit}
kit=$(cd "$(dirname "$0")" && pwd)
stuff=${STUFF:-$PWD/.gpu}
work=${WORK:-/tmp/gpu-work}
export OUT=${OUT:-$work/out}
mkdir -p "$work/site" "$OUT"
python=${PYTHON:-python3}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
export PYTHONUNBUFFERED=1 AUTOML_CACHE=$work/cache PROJECT=$PWD
[ "$device" = cpu ] && export OMP_NUM_THREADS=1
logs=$work/logs
rm -rf "$logs" && mkdir -p "$logs"
: >"$OUT/log.txt"
names=()

wanted() { [ -z "${ONLY:-}" ] || case " $ONLY " in *" $1 "*) ;; *) return 1 ;; esac; }

step() {  # NAME SECONDS COMMAND...: runs it, so long at most, and notes how it ended
    local name=$1 most=$(($2 * slow)) from=$SECONDS left=$((limit - SECONDS)) code
    shift 2
    wanted "$name" || return 0
    names+=("$name")
    if ((left < 8)); then echo "left out: no time" >"$logs/$name.end"; return; fi
    ((most < left)) || most=$left
    echo "== $name, $most s at most, at second $SECONDS"
    timeout -k 5 "$most" "$@" >"$logs/$name.txt" 2>&1
    code=$?
    ended "$name" $code $((SECONDS - from))
}

ended() {  # NAME CODE SECONDS
    case $2 in 0) echo "ok | $3 s" ;; 124 | 137) echo "cut off | $3 s" ;; *) echo "FAILED ($2) | $3 s" ;; esac >"$logs/$1.end"
    { echo "######## $1: $(cat "$logs/$1.end")"; cat "$logs/$1.txt"; echo; } >>"$OUT/log.txt"
}

beside() {  # NAME SECONDS COMMAND...: the same in the background
    local name=$1 most=$(($2 * slow)) from=$SECONDS left=$((limit - SECONDS))
    shift 2
    wanted "$name" || return 0
    names+=("$name")
    ((most < left)) || most=$left
    { OMP_NUM_THREADS=2 timeout -k 5 "$most" "$@" >"$logs/$name.txt" 2>&1; code=$?; ended "$name" $code $((SECONDS - from)); } &
    jobs_+=($!)
}

lay() {  # PROJECT FOLDER: the packages of a checkout as if installed in FOLDER, so that plugins are found
    mkdir -p "$2"
    ln -sfn "$1/automl" "$2/automl"
    ln -sfn "$1/plugins" "$2/automl_plugins"
    ln -sfn "$1/search_spaces" "$2/automl_search_spaces"
    "$python" - "$1" "$2" <<'PY'
import pathlib, sys, tomllib
project = tomllib.loads((pathlib.Path(sys.argv[1]) / "pyproject.toml").read_text())["project"]
info = pathlib.Path(sys.argv[2]) / f"automl-{project['version']}.dist-info"
info.mkdir(exist_ok=True)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: automl\nVersion: {project['version']}\n")
groups = {"console_scripts": project["scripts"], **project["entry-points"]}
(info / "entry_points.txt").write_text(
    "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in group.items()) for name, group in groups.items())
)
PY
}

set_up() {
    cifar=$stuff/cifar10-images.tar.xz
    if [ "${SKIP_INSTALL:-}" != 1 ] && [ ! -f "$work/site/installed" ]; then
        "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" \
            "$stuff"/wheels/*.whl && touch "$work/site/installed" || return 1
    fi
    rm -rf "$work/here"
    lay "$PROJECT" "$work/here"
}

export work PROJECT kit device
cd "$PWD" || exit 1
set_up || { echo "the packages could not be laid out"; exit 1; }
export PROJECT
here_env=(env "PYTHONPATH=$work/here:$work/site" "PROJECT=$PROJECT")
cd "$PROJECT" || exit 1

networks=(lenet "3-layer cnn" resnet-20 resnet-18)
sanity=(--trials 10 --timeout 45s)
minutes=${MINUTES:-4}
search=(--ensemble --trials 100 --timeout "${minutes}m")
[ "$device" = cpu ] && { networks=(lenet); sanity=(--trials 2 --epochs 2 --folds 2 --space smoke); search=("${sanity[@]}") minutes=1; }

cat >"$work/life.sh" <<'SH'
# A small search and what comes after it, with the executor $1.
run=$work/run-$1
rm -rf "$run"
set -x
"$python" -m automl search digits --device "$device" --executor "$1" --out "$run" "${@:2}" || exit 1
"$python" -m automl leaderboard "$run" | head -30
best=$("$python" -m automl leaderboard "$run" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["best"])')
"$python" -m automl replay "$run" "$best"
echo "replay: exit code $?"
"$python" -m automl fit "$run" --final ensemble || exit 1
"$python" -m automl resume "$run" $more --json | head -c 600
SH
more="--trials 12 --timeout 15s"
[ "$device" = cpu ] && more="--trials 3"
export python more

jobs_=()
[ "$device" = cuda ] && nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used,clocks.sm --format=csv
step versions 60 "${here_env[@]}" "$python" -c '
import importlib.metadata as m, platform, torch, automl
print(platform.python_version(), torch.__version__, "cuDNN", torch.backends.cudnn.version(), "from", automl.__file__)
for name in "torch torchvision numpy scipy scikit-learn optuna sqlalchemy pydantic typer rich matplotlib safetensors pluggy".split():
    print(name, m.version(name), end="; ")
print()
if torch.cuda.is_available():
    p = torch.cuda.get_device_properties(0)
    print(p.name, p.multi_processor_count, "multiprocessors,", p.total_memory >> 20, "MiB, bf16", torch.cuda.is_bf16_supported())
    torch.ones(1, device="cuda")
from automl.hooks.host import load_plugins
host = load_plugins()
print("architectures", *host.architectures, "broken", *host.broken)'
[ -f "$logs/versions.txt" ] && cat "$logs/versions.txt"

if [ "$phase" != main ]; then
    # Side by side: 16 cores, and nothing here is timed.
    beside life-auto 110 "${here_env[@]}" bash "$work/life.sh" auto "${sanity[@]}"
    if [ "$device" = cuda ]; then
        beside life-fused 110 "${here_env[@]}" bash "$work/life.sh" fused --trials 6 --timeout 30s --epochs 6
        beside tests-gpu 110 "${here_env[@]}" "$python" -m pytest -p no:cacheprovider tests/gpu -v --tb=short -rs --durations=5
        beside memory 110 "${here_env[@]}" "$python" "$kit/oom.py" --device "$device"
        wait "${jobs_[@]}"
    else
        wait "${jobs_[@]}"
        step tests-gpu 60 "${here_env[@]}" "$python" -m pytest -p no:cacheprovider tests/gpu -q --tb=short -rs
        step memory 60 "${here_env[@]}" "$python" "$kit/oom.py" --device "$device"
    fi
    step waits 40 "${here_env[@]}" "$python" "$kit/waits.py" --device "$device"
fi

if [ "$phase" != quick ]; then
    if [ -f "$cifar" ] && [ ! -f "$work/cifar10/unpacked" ]; then
        mkdir -p "$work/cifar10"
        (if command -v xz >/dev/null; then tar -xJf "$cifar" -C "$work/cifar10"; else "$python" -m tarfile -e "$cifar" "$work/cifar10"; fi && touch "$work/cifar10/unpacked") &
        unpacking=$!
    fi
    rounds=(--rounds 1)
    step executors 120 "${here_env[@]}" "$python" "$kit/rows.py" --device "$device" "${rounds[@]}" --networks "${networks[@]}" --section "$OUT/executors-gpu.md"
    [ -n "${unpacking:-}" ] && wait "$unpacking"
    data=$work/cifar10
    inner=$(find "$data" -maxdepth 3 -type d -name train 2>/dev/null | head -1)
    [ -n "$inner" ] && data=$(dirname "$inner")
    [ "$device" = cpu ] && data=digits
    [ "$device" = cuda ] && { nvidia-smi --query-gpu=utilization.gpu,memory.used,power.draw --format=csv,noheader,nounits -l 2 >"$work/smi.csv" & watching=$!; }
    rm -rf "$work/run-cifar"
    step cifar10 $((minutes * 60 + 70)) "${here_env[@]}" "$python" "$kit/cifar.py" "$data" "$work/run-cifar" --section "$OUT/cifar10-gpu.md" --device "$device" "${search[@]}"
    if [ -n "${watching:-}" ]; then
        kill "$watching"
        awk -F, '{u+=$1; if ($2>m) m=$2; p+=$3; n++} END {if (n) printf "during the search: GPU busy %.0f %% of the time (by nvidia-smi), memory %d MiB at most, %.0f W\n", u/n, m, p/n}' "$work/smi.csv" | tee -a "$logs/cifar10.txt" >>"$OUT/log.txt"
    fi
    if [ -d "$work/run-cifar" ]; then
        tar -czf "$OUT/run.tar.gz" -C "$work" --exclude='*.pt' --exclude='*.safetensors' --exclude=checkpoints run-cifar
        (($(stat -c %s "$OUT/run.tar.gz") < 16000000)) || rm "$OUT/run.tar.gz"
    fi
    if [ "$device" = cuda ]; then
        step three-workers 60 "${here_env[@]}" "$python" "$kit/cifar.py" "$data" "$work/run-three" \
            --devices cuda:0,cuda:0,cuda:0 --trials 100 --timeout 35s
    fi
fi

{
    for name in waits three-workers executors cifar10 memory; do
        [ -s "$logs/$name.txt" ] && { echo "### $name"; cut -c1-260 "$logs/$name.txt" | tail -n 62; echo; }
    done
    for name in life-auto life-fused; do
        [ -s "$logs/$name.txt" ] && { echo "### $name"; grep -E 'replay|Error|error|winner|test |best|warning' "$logs/$name.txt" | grep -v '^+' | cut -c1-200 | tail -n 8; echo; }
    done
    for name in tests-gpu; do
        [ -s "$logs/$name.txt" ] && { echo "### $name"; grep -E '^(FAILED|ERROR|SKIPPED)|passed|failed|no tests' "$logs/$name.txt" | cut -c1-200 | tail -n 14; echo; }
    done
    echo "| step | result | time |"; echo "| --- | --- | --- |"
    for name in "${names[@]}"; do echo "| $name | $(cat "$logs/$name.end" 2>/dev/null || echo '?') |"; done
    echo "all of it took $SECONDS s"
} | tee "$OUT/table.md"
! grep -lq FAILED "$logs"/*.end
