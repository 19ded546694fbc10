#!/usr/bin/env bash
# One real S3 server for tests and for the curious: versitygw over a folder, one process, loopback only.
# It honours `If-None-Match: *`, which the object sink stands on.
#
#   s3.sh fetch         build the server, once; later starts need no network
#   s3.sh start [DIR]   start a server that keeps everything below DIR (a new temporary folder, if
#                       none is given), and say how to stop it
#   s3.sh stop DIR      stop it, and remove the folder
#   s3.sh run           start one, and stop it when standard input ends: a test that holds the other
#                       end leaves no server behind, however it dies
#
# Standard output is for programs: `dir=…`, `endpoint=http://127.0.0.1:PORT`, `bucket=…`,
# `access_key=…`, `secret_key=…`, `version=…`. What is being done, and what went wrong, is told on
# standard error. Exit code 69: the server cannot be had here (no Go, no network); 1: it can, and did
# not start.
#
# Go builds it with the machine's own settings, into a folder outside the clone:
# ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

cache=${BRINK_CACHE:-$HOME/.cache/brink}
readonly UNAVAILABLE=69
readonly PACKAGE=github.com/versity/versitygw/cmd/versitygw VERSION=v1.8.0
readonly BUCKET=brink ACCESS_KEY=brink-test REGION=us-east-1
readonly FETCH_SECONDS_MAX=1800 START_SECONDS_MAX=30 STOP_SECONDS_MAX=20 RUN_SECONDS_MAX=1800

say() { echo "s3.sh: $*" >&2; }
unavailable() { say "$*"; exit "$UNAVAILABLE"; }

# The folder of the binary; its name changes with the version.
built() { echo "$cache/versitygw-$VERSION"; }

fetch() {
    local built
    built=$(built)
    [[ -e "$built/complete" ]] && return
    command -v go >/dev/null || unavailable "there is no go; install Go, 1.21 or later, which builds the server"
    mkdir -p "$built"
    # Tests that start at once build once.
    exec 9>"$built/lock"
    flock -w "$FETCH_SECONDS_MAX" 9 || unavailable "another fetch holds $built/lock"
    if [[ ! -e "$built/complete" ]]; then
        say "building the server in $built; that takes some minutes"
        GOBIN="$built" timeout "$FETCH_SECONDS_MAX" go install -ldflags '-s -w' "$PACKAGE@$VERSION" \
            >"$built/fetch.log" 2>&1 </dev/null || {
            tail -n 5 "$built/fetch.log" >&2 || true
            unavailable "Go could not build the server; all it said is in $built/fetch.log"
        }
        touch "$built/complete"
    fi
    exec 9>&-
}

# A port that nobody listens on, below those that the kernel gives to outgoing connections.
free_port() {
    local port hex
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 12000))
        hex=$(printf ':%04X ' "$port")
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qF "$hex" || { echo "$port"; return; }
    done
    say "no free port was found in 100 tries"
    return 1
}

# Whether the server of a folder runs. It is known by its command line too: ids are used again.
is_running() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' '\n' | grep -qxF -- "$1/data"
}

# Waits for an answer to a request that nobody has signed: a refusal is one.
wait_until_started() {
    local dir=$1 pid=$2 port=$3
    for _ in $(seq $((START_SECONDS_MAX * 10))); do
        kill -0 "$pid" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$port" &&
            printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&3 &&
            head -c 5 <&3 | grep -qF HTTP/) 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    return 1
}

start_once() {
    local dir=$1 port secret
    port=$(free_port)
    # Nobody else knows it, and a test may look for it where it must not be.
    secret=$(head -c 24 /dev/urandom | base64 | tr '+/' 'ab')
    # A folder is a bucket. What a server knows of objects lies beside them, for not every file
    # system has extended attributes.
    mkdir -p "$dir/data/$BUCKET" "$dir/sidecar"
    ROOT_ACCESS_KEY=$ACCESS_KEY ROOT_SECRET_KEY=$secret "$(built)/versitygw" \
        --port "127.0.0.1:$port" --region "$REGION" --keep-alive \
        posix --sidecar "$dir/sidecar" "$dir/data" >"$dir/server.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    wait_until_started "$dir" $! "$port" || return 1
    echo "dir=$dir"
    echo "endpoint=http://127.0.0.1:$port"
    echo "bucket=$BUCKET"
    echo "access_key=$ACCESS_KEY"
    echo "secret_key=$secret"
    echo "version=${VERSION#v}"
}

start() {
    local dir=$1
    fetch
    # Somebody may take the port between the choice and the start.
    for _ in 1 2 3; do
        start_once "$dir" && return
        halt "$dir"
        grep -qiF 'address already in use' "$dir/server.log" 2>/dev/null || break
        say "a port was taken meanwhile; trying others"
    done
    say "the server did not start; the end of its log:"
    tail -n 30 "$dir/server.log" >&2 || true
    exit 1
}

# Stops the server of a folder, if it runs.
halt() {
    local dir=$1 pid
    is_running "$dir" || return 0
    pid=$(cat "$dir/pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq $((STOP_SECONDS_MAX * 10))); do
        is_running "$dir" || return 0
        sleep 0.1
    done
    say "the server $pid did not end within $STOP_SECONDS_MAX s; killing it"
    kill -KILL "$pid" 2>/dev/null || true
}

stop() {
    local dir=$1
    [[ -e "$dir/pid" && -d "$dir/data" ]] || { say "$dir is no folder of a server"; exit 1; }
    halt "$dir"
    rm -rf "$dir"
    say "stopped, and removed $dir"
}

new_dir() { mktemp -d "${TMPDIR:-/tmp}/brink-s3.XXXXXX"; }

run() {
    # Not local: the trap runs when this function has been left.
    run_dir=$(new_dir)
    # Whatever ends this script ends the server.
    trap 'halt "$run_dir"; rm -rf "$run_dir"' EXIT
    trap 'exit 1' INT TERM HUP
    start "$run_dir"
    # BOUND: nobody's test takes this long.
    timeout --foreground "$RUN_SECONDS_MAX" cat >/dev/null ||
        say "stopping after $RUN_SECONDS_MAX s"
}

case "${1:-}" in
    fetch) fetch ;;
    start)
        dir=${2:-$(new_dir)}
        mkdir -p "$dir"
        dir=$(cd "$dir" && pwd)
        start "$dir"
        say "the server runs; stop it with: $0 stop $dir"
        ;;
    stop) stop "$(cd "${2:?usage: s3.sh stop DIR}" && pwd)" ;;
    run) run ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
