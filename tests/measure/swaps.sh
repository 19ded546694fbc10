#!/usr/bin/env bash
# What an appliance does while it swaps large tables, in the memory of its droplet: swaps one table for the
# same one under ever newer versions, while an exchange asks.
#
#   tests/measure/swaps.sh --table FILE --users N [--count 100] [--every-ms 0] [--rate 1000]
#                          [--profile s-2vcpu-4gb] [--memory 3800M] [--server-cpu 0,1] [--generator-cpu 1]
#                          [--folder DIR]
#
# The appliance runs in a cgroup of its own, v2 or v1, with that limit, and is told that its machine is the
# profile's: a table that this profile does not take is refused. A swap is over when the version is served; the
# next one is announced then, or when --every-ms have passed since the one before. Without a writable cgroup
# with the memory controller nothing is limited, which is said loudly; what is resident is printed all the same.
# Needs room for five tables below the folder, and writes one for each swap.
set -euo pipefail
cd "$(dirname "$0")/../.."

table="" users="" count=100 every_ms=0 rate=1000 profile=s-2vcpu-4gb memory=3800M
server_cpu=0,1 generator_cpu=1 folder=""
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --table) table=$2 ;;
        --users) users=$2 ;;
        --count) count=$2 ;;
        --every-ms) every_ms=$2 ;;
        --rate) rate=$2 ;;
        --profile) profile=$2 ;;
        --memory) memory=$2 ;;
        --server-cpu) server_cpu=$2 ;;
        --generator-cpu) generator_cpu=$2 ;;
        --folder) folder=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ -n "$table" ] && [ -n "$users" ] || usage

binaries=${BRINK_BINARIES:-${CARGO_TARGET_DIR:-target}/release}
[ -n "${BRINK_BINARIES:-}" ] || cargo build --release --quiet -p edge -p brink-bench
folder=$(mktemp -d "${folder:-${TMPDIR:-/tmp}}/brink-swaps.XXXXXX")
edge="" asking="" group=""
clean_up() {
    [ -z "$asking" ] || kill "$asking" 2>/dev/null || true
    [ -z "$edge" ] || kill -KILL "$edge" 2>/dev/null || true
    [ -z "$edge" ] || wait "$edge" 2>/dev/null || true
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || echo "cgroup $group is left behind" >&2
    rm -rf "$folder"
}
trap clean_up EXIT

# The largest table of a machine of this profile, as `edge check` says it.
cat >"$folder/edge.toml" <<TOML
[edge]
name = "swaps"
profile = "$profile"
[[listener]]
name = "provider"
role = "provider"
address = "127.0.0.1:18081"
exchange = "xandr"
allow = ["127.0.0.0/8"]
[tables]
url = "file:$folder/store"
path = "$folder/served"
poll_ms = 100
[admin]
address = "127.0.0.1:18084"
[spool]
path = "$folder/spool"
[objects]
url = "file:$folder/objects"
[drain]
grace_ms = 0
deliver_ms = 1
[log]
format = "json"
TOML
most_mib=$("$binaries/edge" check --config "$folder/edge.toml" |
    sed -n "s/^ *$profile .*: *\([0-9]*\) MiB$/\1/p" | head -n 1)
sed -i "s/^poll_ms.*/&\nbytes_max = $((most_mib << 20))/" "$folder/edge.toml"
echo "table of $(stat -c %s "$table") bytes; $profile takes up to $((most_mib << 20))"

store="$folder/store"
"$binaries/edge" table publish --table "$table" --store "file:$store" --version 1 >/dev/null
name() { printf '%020d' "$1"; }
# announce VERSION: the same file under another name; but for the name, the manifest and the announcement
# nothing is made anew.
announce() {
    ln -f "$store/tables/$(name 1).table" "$store/tables/$(name "$1").table"
    sed -e "s/\"version\": [0-9]*/\"version\": $1/" -e "s/$(name 1)/$(name "$1")/" \
        -e "s/\"published_ms\": [0-9]*/\"published_ms\": $(date +%s%3N)/" \
        "$store/manifests/$(name 1).json" >"$store/next.json"
    cp "$store/next.json" "$store/manifests/$(name "$1").json"
    mv "$store/next.json" "$store/current.json"
}

# limit FOLDER FILE: makes a group below the folder, whose limit is that file.
limit() {
    mkdir "$1/brink-swaps.$$" 2>/dev/null || return 1
    group="$1/brink-swaps.$$"
    { echo "$memory" >"$group/$2"; } 2>/dev/null && return
    rmdir "$group"
    group=""
    return 1
}
if grep -qs memory /sys/fs/cgroup/cgroup.controllers && limit /sys/fs/cgroup memory.max; then
    echo "memory.max $(cat "$group/memory.max")"
elif limit /sys/fs/cgroup/memory memory.limit_in_bytes; then
    echo "memory.limit_in_bytes $(cat "$group/memory.limit_in_bytes"), of a cgroup v1"
else
    {
        echo "**********************************************************************************"
        echo "* NO LIMIT: there is no cgroup with a memory controller that can be written to."
        echo "* What follows shows what is resident, and NOT that $memory are enough."
        echo "**********************************************************************************"
    } >&2
fi

log=$folder/log admin=127.0.0.1:18084
. tests/measure/edge.sh
(
    [ -z "$group" ] || echo "$BASHPID" >"$group/cgroup.procs"
    exec taskset -c "$server_cpu" "$binaries/edge" serve --config "$folder/edge.toml" 2>"$log"
) &
edge=$!
status() { page /status 2>/dev/null | tail -n 1; }
# The number behind a name, the first time that it comes.
figure() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
served() { [ "$(page /metrics 2>/dev/null | sed -n 's/^brink_table_version[^ ]* //p' | cut -d. -f1)" = "$1" ]; }
until_true 120 served 1

# An exchange that asks until it is told to stop.
"$binaries/bench" run --scenario exchange --role provider --url http://127.0.0.1:18081 --users "$users" \
    --rate "$rate" --cpu "$generator_cpu" --duration 3600 >"$folder/asked" 2>&1 &
asking=$!

now_ms() { date +%s%3N; }
begun=$(now_ms)
for swap in $(seq "$count"); do
    from=$(now_ms)
    announce $((swap + 1))
    until_true 300 served $((swap + 1))
    kill -0 "$edge"
    echo $(($(now_ms) - from)) >>"$folder/times"
    [ "$swap" -eq 1 ] || rm -f "$store/tables/$(name "$swap").table" "$store/manifests/$(name "$swap").json"
    left=$((from + every_ms - $(now_ms)))
    [ "$left" -le 0 ] || sleep "$(printf '%d.%03d' $((left / 1000)) $((left % 1000)))"
done
taken=$(($(now_ms) - begun))
echo "$count swaps in $taken ms"
sort -n "$folder/times" | awk '{ t[NR] = $1 } END {
    print "ms a swap: least", t[1], "median", t[int((NR + 1) / 2)], "most", t[NR] }'

kill -INT "$asking"
wait "$asking" || true
asking=""
sed -n "/^exchange of/,\$p" "$folder/asked"
page /metrics | grep -E '^brink_outcomes_total|^brink_tables_refused' || true
memory_of() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$edge/status"; }
echo "resident at most $(($(memory_of VmHWM) / 1024)) MiB; in huge pages, not counted there, $(($(memory_of HugetlbPages) / 1024)) MiB"
# told FILE: what the group's file says, if its version of cgroups has that file.
told() { [ ! -e "$group/$1" ] || echo "$1 $(tr '\n' ' ' <"$group/$1")"; }
if [ -n "$group" ]; then
    for file in memory.peak memory.events memory.max_usage_in_bytes memory.failcnt memory.oom_control; do
        told "$file"
    done
fi
kill -TERM "$edge"
wait "$edge" || true
edge=""
