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

readonly WHAT=server LOG=server.log
readonly PACKAGE=github.com/versity/versitygw/cmd/versitygw VERSION=v1.8.0
readonly BUCKET=brink ACCESS_KEY=brink-test REGION=us-east-1
readonly FETCH_SECONDS_MAX=1800 START_SECONDS_MAX=30
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"

# The folder of the binary; its name changes with the version.
built() { echo "$cache/versitygw-$VERSION"; }

mark() { echo "$1/data"; }
is_home() { [[ -e "$1/pid" && -d "$1/data" ]]; }

fetch() {
    local built
    built=$(built)
    [[ -e "$built/complete" ]] && return
    command -v go >/dev/null || unavailable "there is no go; install Go, 1.21 or later, which builds the server"
    once "$built" "building the server in $built; that takes some minutes" "Go could not build the server" \
        env GOBIN="$built" go install -ldflags '-s -w' "$PACKAGE@$VERSION"
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
    disown
    wait_until_started "$dir" $! "$port" || return 1
    echo "dir=$dir"
    echo "endpoint=http://127.0.0.1:$port"
    echo "bucket=$BUCKET"
    echo "access_key=$ACCESS_KEY"
    echo "secret_key=$secret"
    echo "version=${VERSION#v}"
}

serve "$@"
