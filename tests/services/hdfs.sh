#!/usr/bin/env bash
# One real HDFS for tests and for the curious: Apache's name node and one data node in one process,
# loopback only.
#
#   hdfs.sh fetch         collect the jars, once; later starts need no network
#   hdfs.sh start [DIR]   start one that keeps everything below DIR (a new temporary folder, if none is
#                         given), and say how to stop it
#   hdfs.sh stop DIR      stop it, and remove the folder
#   hdfs.sh run           start one, and stop it when standard input ends: a test that holds the other
#                         end leaves nothing behind, however it dies
#
# Standard output is for programs: `dir=…`, `url=hdfs://127.0.0.1:PORT`, `version=…`. Whoever started it may
# do everything in it, and others what permissions say; a client names its user in HADOOP_USER_NAME. What
# is being done, and what went wrong, is told on standard error. Exit code 69: it cannot be had here (no
# Java, no Maven, no network); 1: it can, and did not start.
#
# Maven collects the jars of hdfs/pom.xml with the machine's own settings, into a folder outside the
# clone: ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

readonly WHAT="HDFS cluster" LOG=cluster.log
readonly FETCH_SECONDS_MAX=600 START_SECONDS_MAX=90
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"

mark() { echo "-Dbrink.dir=$1"; }
is_home() { [[ -e "$1/pid" && -d "$1/data" ]]; }
fetch() { collect_jars hdfs; }

# The manager says that the cluster is there by writing down what it is.
wait_until_started() {
    local dir=$1 pid=$2
    for _ in $(seq $((START_SECONDS_MAX * 10))); do
        [[ -s "$dir/details.json" ]] && return
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

start_once() {
    local dir=$1 port
    port=$(free_port)
    rm -rf "$dir/data" "$dir/tmp" "$dir/details.json"
    mkdir -p "$dir/data"
    # It lives for seconds: a small heap, the collector that starts fastest, and no optimising compiler.
    # Blocks are the smallest that HDFS makes, so that a large object has several.
    java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "$(mark "$dir")" \
        -Dtest.build.data="$dir/data" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -cp "$(jars_of hdfs)/*" org.apache.hadoop.test.MiniDFSClusterManager \
        -format -datanodes 1 -nnport "$port" -writeDetails "$dir/details.json" \
        -D dfs.replication=1 -D dfs.blocksize=1048576 -D hadoop.tmp.dir="$dir/tmp" \
        >"$dir/cluster.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    wait_until_started "$dir" $! || return 1
    echo "dir=$dir"
    echo "url=hdfs://127.0.0.1:$port"
    echo "version=$(basename "$(jars_of hdfs)"/hadoop-client-api-*.jar .jar | sed 's/hadoop-client-api-//')"
}

serve "$@"
