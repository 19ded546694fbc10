#!/usr/bin/env bash
# What a backlog costs: the time until a start on it is ready, the memory and the time of its delivery,
# and what whoever asks meanwhile notices.
#
#   tests/measure/backlog.sh [--mib 1024] [--store file|s3] [--kafka plain|strict] [--rounds 6] [--seconds 5]
#                            [--rate 5000] [--replay-bytes-per-s N] [--server-cpu 0,1] [--generator-cpu 1]
#                            [--folder DIR]
#
# Leaves a backlog of that size in a spool; lets `bench compare` hold a start that delivers it against
# one that has none, in interleaved rounds; then starts once more and waits until all is delivered. With --kafka
# a real broker takes all of it as well, in batches or in transactions. With --rounds 0 nothing is compared, and the
# last start delivers the whole backlog. The cores are the appliance's, shard first where its interrupts are fewest, and
# the generator's, which never sleeps: on two cores it shares one with delivery, which gets what is left. The rate at
# which the backlog is given to each sink is the default one, unless it is given. Needs room for the backlog, its
# objects and the broker's copy below the folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

# How often is told how far it is.
readonly TELL_SECONDS=60
mib=1024 store=file kafka="" rounds=6 seconds=5 rate=5000 server_cpu=0,1 generator_cpu=1 folder="" replay_bytes_per_s=""
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --mib) mib=$2 ;;
        --store) store=$2 ;;
        --kafka) kafka=$2 ;;
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --rate) rate=$2 ;;
        --replay-bytes-per-s) replay_bytes_per_s=$2 ;;
        --server-cpu) server_cpu=$2 ;;
        --generator-cpu) generator_cpu=$2 ;;
        --folder) folder=$2 ;;
        *) usage ;;
    esac
    shift 2
done
case "$kafka" in "" | plain | strict) ;; *) usage ;; esac

target=${CARGO_TARGET_DIR:-target}
cargo build --release --quiet -p edge -p brink-bench
folder=$(mktemp -d "${folder:-${TMPDIR:-/tmp}}/brink-backlog.XXXXXX")
edge="" s3=""
clean_up() {
    [ -z "$edge" ] || kill -KILL "$edge" 2>/dev/null || true
    [ -z "$s3" ] || tests/services/s3.sh stop "$s3" || true
    ! [ -d "$folder/broker" ] || tests/services/kafka.sh stop "$folder/broker" || true
    rm -rf "$folder"
}
trap clean_up EXIT

place="url = \"file:$folder/objects\""
if [ "$store" = s3 ]; then
    tests/services/s3.sh start >"$folder/s3"
    fact() { sed -n "s/^$1=//p" "$folder/s3"; }
    s3=$(fact dir)
    (umask 077 && printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' \
        "$(fact access_key)" "$(fact secret_key)" >"$folder/credentials")
    place="url = \"s3://$(fact bucket)/edge\"
endpoint = \"$(fact endpoint)\"
credentials = \"$folder/credentials\""
fi

sinks=objects section=""
if [ -n "$kafka" ]; then
    sinks="objects kafka"
    broker=$(tests/services/kafka.sh start "$folder/broker" | sed -n 's/^address=//p')
    section="[kafka]
brokers = [\"$broker\"]
create_topics = true
partitions = 4
replication = 1
transactions = $([ "$kafka" = strict ] && echo true || echo false)"
fi

# configure NAME SPOOL: a start that stops at once when it is told to, whatever is not delivered yet.
configure() {
    cat >"$folder/$1.toml" <<TOML
[edge]
name = "bench"
profile = "s-2vcpu-2gb"
[[listener]]
name = "pixel"
role = "pixel"
address = "127.0.0.1:18083"
allow = ["127.0.0.0/8"]
[admin]
address = "127.0.0.1:18084"
[spool]
path = "$folder/$2"
quota_bytes = $(((mib * 2 + 4096) << 20))
${replay_bytes_per_s:+replay_bytes_per_s = $replay_bytes_per_s}
[objects]
$place
age_max_ms = 5000
$section
[drain]
grace_ms = 0
deliver_ms = 1
[log]
format = "json"
TOML
}
configure calm empty
configure replay backlog

echo "== a backlog of $mib MiB"
cargo bench --quiet -p brink-shipper --bench spool -- leave --folder "$folder/backlog" --mib "$mib" | tee "$folder/left"
events=$(sed -n 's/.* frames, \([0-9]*\) events .*/\1/p' "$folder/left")

edge_of() { echo "$target/release/edge serve --config $folder/$1.toml"; }

compare() {
    echo
    echo "== live answers, without and with its delivery"
    # 3 says that latencies are not measurable here; the table says so too.
    "$target/release/bench" compare "$(edge_of calm)" "$(edge_of replay)" --name-a calm --name-b replay \
        --url "http://127.0.0.1:18083/i.gif?auction_id=9f6c2a41" --rate "$rate" --rounds "$rounds" \
        --duration "$seconds" --cpu "$generator_cpu" --server-cpu "$server_cpu" --out "$folder/compared" ||
        [ $? -eq 3 ]
    python3 - "$folder/compared/comparison.json" <<'PYTHON'
import json, sys
for compared in json.load(open(sys.argv[1])):
    calm, replay = compared["sides"]
    shares = [100 * side["windows_valid"] / max(side["windows"], 1) for side in (calm, replay)]
    print("valid windows: %.0f %% and %.0f %%" % tuple(shares))
    for figure in ("p50", "p99", "p999"):
        one, other = calm["latency"][figure], replay["latency"][figure]
        ratio = f"{other / one:.2f}" if min(shares) >= 60 else "not measurable here"
        print(f"{figure} with delivery over {figure} without: {ratio}")
PYTHON
}
[ "$rounds" = 0 ] || compare

log=$folder/log admin=127.0.0.1:18084
. tests/measure/edge.sh
# What /status says of a sink: the events that it found at its start, and those that wait.
sink() {
    page /status |
        sed -n "s/.*\"$1\":{\"backlog\":\([0-9]*\),\"accepted\":[0-9]*,\"delivered\":[0-9]*,\"pending\":\([0-9]*\).*/\1 \2/p"
}
ready() {
    (exec 3<>/dev/tcp/127.0.0.1/18083 && printf 'GET /ready HTTP/1.1\r\nHost: a\r\n\r\n' >&3 &&
        head -n 1 <&3 | grep -q 200) 2>/dev/null
}
memory() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$edge/status"; }

echo
echo "== its delivery to $store${kafka:+ and to Kafka, $kafka}, nobody asking"
# The files that a start reads are not in memory, as they are not after the machine was.
sync
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || echo "the page cache could not be dropped"
begun=$(date +%s%N)
taskset -c "$server_cpu" $(edge_of replay) 2>"$log" &
edge=$!
until ready; do
    kill -0 "$edge" || { cat "$log" >&2; exit 1; }
    sleep 0.005
done
echo "ready after $((($(date +%s%N) - begun) / 1000000)) ms"
resident() { echo "resident at most $(($(memory VmHWM) / 1024)) MiB"; }
# BOUND: a tenth of a MiB in a second is no delivery.
until_s=$(($(date +%s) + 60 + mib * 10)) tell_s=$(($(date +%s) + TELL_SECONDS))
waiting=$sinks
while [ -n "$waiting" ]; do
    [ "$(date +%s)" -lt "$until_s" ] || { echo "not delivered: $waiting" >&2; exit 1; }
    kill -0 "$edge" || { tail "$log" >&2; exit 1; }
    sleep 1
    left=""
    for name in $waiting; do
        read -r found pending <<<"$(sink "$name")"
        if [ "$pending" != 0 ]; then
            left+="${left:+ }$name"
            [ "$(date +%s)" -lt "$tell_s" ] || echo "$name: $pending of $found events are left; $(resident)"
            continue
        fi
        took_ms=$((($(date +%s%N) - begun) / 1000000))
        # Rounds before may have delivered some of it.
        awk -v name="$name" -v found="$found" -v events="$events" -v mib="$mib" -v ms="$took_ms" 'BEGIN {
            rate = mib * found / events * 1000 / ms
            printf "%s: %d events after %d s, %.1f MiB/s of frames\n", name, found, ms / 1000, rate }'
    done
    [ "$(date +%s)" -lt "$tell_s" ] || tell_s=$((tell_s + TELL_SECONDS))
    waiting=$left
done
echo "$(resident); in huge pages, not counted there, $(($(memory HugetlbPages) / 1024)) MiB"
kill -TERM "$edge"
wait "$edge" || true
edge=""
