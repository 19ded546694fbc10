#!/usr/bin/env bash
# Which calls a shard makes into the kernel while it serves: io_uring_enter alone, once a turn at
# most.
#
#   tests/measure/syscalls.sh [REQUESTS_PER_SECOND] [SECONDS]
#
# Starts `edge serve`, attaches strace to the thread shard-0 and to no other, sends requests, and
# prints strace's table. Needs strace, which it installs, and the right to attach: root.
set -euo pipefail
cd "$(dirname "$0")/../.."

rate=${1:-5000}
seconds=${2:-5}
target=${CARGO_TARGET_DIR:-target}

if ! command -v strace >/dev/null; then
    echo "installing strace"
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q strace >/dev/null
fi
cargo build --release --quiet -p edge -p brink-bench

folder=$(mktemp -d)
edge=""
tracer=""
clean_up() {
    [ -z "$tracer" ] || kill -INT "$tracer" 2>/dev/null || true
    [ -z "$edge" ] || kill -TERM "$edge" 2>/dev/null || true
    wait
    rm -rf "$folder"
}
trap clean_up EXIT

cat >"$folder/edge.toml" <<TOML
[edge]
name = "syscalls"
profile = "s-1vcpu-1gb"
[[listener]]
name = "pixel"
role = "pixel"
address = "127.0.0.1:0"
allow = ["127.0.0.0/8"]
[admin]
address = "127.0.0.1:0"
[spool]
path = "$folder/spool"
[objects]
url = "file:$folder/objects"
[drain]
grace_ms = 0
[log]
format = "json"
TOML
log=$folder/log
"$target/release/edge" serve --config "$folder/edge.toml" 2>"$log" &
edge=$!

. tests/measure/edge.sh
# The first number of a name on /status.
count() { page /status | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2; }
# strace says on its standard error when it is there, and again when it is done.
attached() { grep -q "attached" "$folder/strace.log"; }

until_true 10 logged ready
admin=$(field ready admin)
listener=$(field listening address)
thread=$(grep -lx shard-0 /proc/"$edge"/task/*/comm | cut -d/ -f5)

turns=$(count turns)
strace -c -o "$folder/table" -p "$thread" 2>"$folder/strace.log" &
tracer=$!
until_true 10 attached
# The driver may complain of lateness, which strace makes; what was answered is counted below.
"$target/release/bench" run --url "http://$listener/i.gif?auction_id=9f6c2a41" \
    --rate "$rate" --duration "$seconds" --warmup 1 || true
kill -INT "$tracer"
wait "$tracer" || true
tracer=""
turns=$(($(count turns) - turns))
answered=$(count 200)

cat "$folder/table"
# The table's rows end in the call's name; its fourth column is how often it was made.
awk -v turns="$turns" -v answered="$answered" -v least=$((rate * seconds)) '
    $1 !~ /^[0-9.]+$/ || $NF == "total" { next }
    $NF == "io_uring_enter" { enters = $4; next }
    { others = others " " $NF }
    END {
        printf "\n%d requests, %d turns, %d calls of io_uring_enter\n", answered, turns, enters
        if (others != "") { print "FAILED: the shard also calls" others; exit 1 }
        if (answered < least) { print "FAILED: not all requests were answered"; exit 1 }
        if (enters == 0) { print "FAILED: nothing was seen"; exit 1 }
        if (enters > turns) { print "FAILED: more than one call a turn"; exit 1 }
        print "the shard calls io_uring_enter alone, once a turn at most"
    }' "$folder/table"
