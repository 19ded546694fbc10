# What the measuring scripts share that run an appliance; they source it. Each has in `log` the file that its
# appliance logs JSON into, and in `admin` where operators ask it.

# until_true SECONDS COMMAND…: waits, up to so many seconds, until a command succeeds.
until_true() {
    local patience=$1
    shift
    for _ in $(seq $((patience * 10))); do
        if "$@"; then return; fi
        sleep 0.1
    done
    echo "not after $patience seconds: $*" >&2
    tail -n 20 "$log" >&2
    exit 1
}
logged() { grep -q "\"message\":\"$1\"" "$log"; }
# The value of a text field in the log line of a message.
field() { sed -n "s/.*\"message\":\"$1\".*\"$2\":\"\([^\"]*\)\".*/\1/p" "$log" | head -n 1; }
# A page of the operators'.
page() {
    exec 3<>"/dev/tcp/${admin%:*}/${admin##*:}" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' "$1" >&3
    cat <&3
    exec 3>&-
}
