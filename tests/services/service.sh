# What the scripts share that run one real service; kafka.sh and s3.sh source it. Each says before
#
#   WHAT  LOG  FETCH_SECONDS_MAX     what it is, in a word; its log in its folder; how long a fetch takes
#   fetch                            brings it, once; `once` helps
#   start_once DIR                   starts it in a folder, tells its facts, leaves its id in DIR/pid; a service of
#                                    several processes leaves them in DIR/NAME/pid
#   mark DIR                         the argument of a process's command line that names the folder of its id
#   is_home DIR                      whether a folder is one of its own
#
# and then `serve` with its own arguments.

services=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BRINK_CACHE:-$HOME/.cache/brink}
readonly UNAVAILABLE=69 STOP_SECONDS_MAX=20 RUN_SECONDS_MAX=7200

say() { echo "$(basename "$0"): $*" >&2; }
unavailable() { say "$*"; exit "$UNAVAILABLE"; }

# once FOLDER DOING FAILED COMMAND…: fills a folder by a command, unless that was done before. Tests that
# start at once do it once.
once() {
    local folder=$1 doing=$2 failed=$3
    shift 3
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock -w "$FETCH_SECONDS_MAX" 9 || unavailable "another fetch holds $folder/lock"
    if [[ ! -e "$folder/complete" ]]; then
        say "$doing"
        timeout "$FETCH_SECONDS_MAX" "$@" >"$folder/fetch.log" 2>&1 </dev/null || {
            grep -m 5 -F '[ERROR]' "$folder/fetch.log" >&2 || tail -n 5 "$folder/fetch.log" >&2 || true
            unavailable "$failed; all it said is in $folder/fetch.log"
        }
        touch "$folder/complete"
    fi
    exec 9>&-
}

# The folder of the jars that NAME/pom.xml names; its own name changes with that file.
jars_of() { echo "$cache/$1-$(sha256sum "$services/$1/pom.xml" | cut -c1-12)"; }

# collect_jars NAME [JAVA_MAX]: brings them, by Maven with the machine's own settings, if what they are for runs on
# the Java that is here.
collect_jars() {
    local jars java
    command -v java >/dev/null || unavailable "there is no java; install a Java runtime, 17 or later"
    java=$(java -XshowSettings:properties -version 2>&1 |
        sed -n 's/.*java\.specification\.version = //p') || unavailable "java does not run"
    [[ "$java" =~ ^[0-9]+$ && "$java" -ge 17 ]] ||
        unavailable "java is version ${java:-unknown}; the $WHAT needs 17 or later"
    [[ -z "${2:-}" || "$java" -le "$2" ]] || unavailable "java is version $java; the $WHAT needs $2 at most"
    jars=$(jars_of "$1")
    [[ -e "$jars/complete" ]] && return
    command -v mvn >/dev/null ||
        unavailable "there is no mvn; install Maven, which collects the jars of the $WHAT"
    once "$jars" "collecting the jars of the $WHAT into $jars" "Maven could not collect the jars" \
        mvn --batch-mode --file "$services/$1/pom.xml" dependency:copy-dependencies \
        "-DoutputDirectory=$jars"
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

# Whether the service of a folder runs. It is known by its command line too: ids are used again.
is_running() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' '\n' | grep -qxF -- "$(mark "$1")"
}

# The logs of a folder, one for each process.
logs() { find "$1" -maxdepth 2 -name "$LOG"; }

start() {
    local dir=$1
    fetch
    # Somebody may take the port between the choice and the start.
    for _ in 1 2 3; do
        start_once "$dir" && return
        halt "$dir"
        logs "$dir" | xargs grep -qiF 'address already in use' || break
        say "a port was taken meanwhile; trying others"
    done
    say "the $WHAT did not start; the end of its log:"
    logs "$dir" | xargs tail -n 30 >&2 || true
    exit 1
}

# Stops what runs in a folder and in those right below it. It is killed: what it has kept goes with its folder, and
# one of several that wait for each other would take its time.
halt() {
    local home
    for home in "$1" "$1"/*/; do
        is_running "${home%/}" || continue
        kill -KILL "$(cat "$home/pid")" 2>/dev/null || true
    done
    for home in "$1" "$1"/*/; do
        for _ in $(seq $((STOP_SECONDS_MAX * 10))); do
            is_running "${home%/}" || break
            sleep 0.1
        done
    done
}

stop() {
    local dir=$1
    is_home "$dir" || { say "$dir is no folder of a $WHAT"; exit 1; }
    halt "$dir"
    rm -rf "$dir"
    say "stopped, and removed $dir"
}

new_dir() { mktemp -d "${TMPDIR:-/tmp}/brink-$(basename "$0" .sh).XXXXXX"; }

run() {
    # Not local: the trap runs when this function has been left.
    run_dir=$(new_dir)
    # Whatever ends this script ends the service.
    trap 'halt "$run_dir"; rm -rf "$run_dir"' EXIT
    trap 'exit 1' INT TERM HUP
    start "$run_dir"
    # BOUND: nobody's test takes this long.
    timeout --foreground "$RUN_SECONDS_MAX" cat >/dev/null ||
        say "stopping after $RUN_SECONDS_MAX s"
}

serve() {
    local dir
    case "${1:-}" in
        fetch) fetch ;;
        start)
            dir=${2:-$(new_dir)}
            mkdir -p "$dir"
            dir=$(cd "$dir" && pwd)
            start "$dir"
            say "the $WHAT runs; stop it with: $0 stop $dir"
            ;;
        stop) stop "$(cd "${2:?usage: $(basename "$0") stop DIR}" && pwd)" ;;
        run) run ;;
        *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
}
