#!/usr/bin/env bash
# What an event costs on its way into Kafka: the appliance's delivery thread, beside librdkafka with one
# produce call for each. Both send the same events into one real broker, in turns.
#
#   tests/measure/kafka.sh [ROUNDS] [EVENTS_PER_SECOND] [SECONDS] [EDGE]
#
# A backlog is made first: so many events a second for so long, while no cluster is there. In each round
#
#   backlog   the appliance starts on a copy of it and delivers it into a new topic;
#   strict    the same in transactions;
#   rdkafka   librdkafka sends the same events to the same topic (bench/peers/rdkafka.c);
#   live      the appliance serves so many requests a second for so long, and delivers them.
#
# Medians over the rounds, and ratios, are printed at the end. The appliance is on core 0, the generator
# and librdkafka on core 1, the broker wherever there is room. EDGE is another binary to measure, if given.
# Needs what tests/services/kafka.sh needs, and Debian's gcc and librdkafka-dev, which it installs: root.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5}
rate=${2:-20000}
seconds=${3:-15}
target=${CARGO_TARGET_DIR:-target}
binary=${4:-$target/release/edge}
# Live rounds are measured from here on: streams have begun, connections are made.
readonly SETTLE_SECONDS=3

if ! [ -e /usr/include/librdkafka/rdkafka.h ]; then
    echo "installing librdkafka-dev"
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q gcc librdkafka-dev >/dev/null
fi
[ $# -ge 4 ] || cargo build --release --quiet -p edge -p brink-bench

folder=$(mktemp -d)
edge=""
stop_edge() {
    [ -z "$edge" ] || kill -KILL "$edge" 2>/dev/null || true
    [ -z "$edge" ] || wait "$edge" 2>/dev/null || true
    edge=""
}
clean_up() {
    stop_edge
    ! [ -d "$folder/broker" ] || tests/services/kafka.sh stop "$folder/broker" || true
    rm -rf "$folder"
}
trap clean_up EXIT
cc -O2 -o "$folder/rdkafka" bench/peers/rdkafka.c -lrdkafka
broker=$(tests/services/kafka.sh start "$folder/broker" | sed -n 's/^address=//p')

. tests/measure/edge.sh
# A number of events on /metrics, as the Kafka sink counts them.
count() { page /metrics | sed -n "s/^brink_events_$1{.*kafka.*} \([0-9]*\).*/\1/p" | head -n 1; }
# Nanoseconds of CPU that a thread of the appliance has used.
cpu_ns() {
    local comm
    comm=$(grep -lx "$1" /proc/"$edge"/task/*/comm)
    cut -d' ' -f1 "${comm%/comm}/schedstat"
}
now_ns() { date +%s%N; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", a / b }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

# serve NAME CLUSTER [KEYS]: starts the appliance in a folder of that name; its topics begin with the name. KEYS are
# further ones of [kafka].
serve() {
    home=$folder/$1
    log=$home/log
    mkdir -p "$home"
    # Objects wait: what they cost is another question.
    printf 'AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n' >"$home/credentials"
    chmod 600 "$home/credentials"
    cat >"$home/edge.toml" <<TOML
[edge]
name = "kafka"
profile = "s-1vcpu-1gb"
[[listener]]
name = "pixel"
role = "pixel"
address = "127.0.0.1:0"
allow = ["127.0.0.0/8"]
[admin]
address = "127.0.0.1:0"
[spool]
path = "$home/spool"
[objects]
url = "s3://nowhere"
endpoint = "http://127.0.0.1:9"
credentials = "$home/credentials"
[kafka]
brokers = ["$2"]
topic_prefix = "$1."
create_topics = true
partitions = 4
replication = 1
${3:-}
[log]
format = "json"
TOML
    taskset -c 0 "$binary" serve --config "$home/edge.toml" 2>"$log" &
    edge=$!
    until_true 30 logged ready
    admin=$(field ready admin)
    listener=$(field listening address)
}
load() {
    "$target/release/bench" run --url "http://$listener/i.gif?auction_id=9f6c2a41" \
        --scenario pixel --cpu 1 --rate "$rate" --duration "$1" --warmup 1 >"$home/load" 2>&1 || true
}
is_drained() { [ "$(count pending)" = 0 ] && [ "$(count delivered_total)" -gt 0 ]; }

# backlog NAME FILE [KEYS]: delivers the backlog in a folder; what it took goes to files of that name.
backlog() {
    serve "$1" "$broker" "${3:-}"
    local began=$(now_ns)
    until_true 300 is_drained
    local took=$(($(now_ns) - began)) cpu=$(cpu_ns delivery) spool=$(cpu_ns spool)
    events=$(count delivered_total)
    stop_edge
    ratio "$cpu" "$((events * 1000))" >>"$folder/$2"
    ratio "$spool" "$((events * 1000))" >>"$folder/$2.spool"
    ratio "$((events * 1000))" "$((took / 1000000))" >>"$folder/$2.rate"
}
rdkafka() {
    local topic=round$1.impressions said
    [ -e "$folder/events" ] || "$folder/rdkafka" read "$broker" "$topic" "$events" "$folder/events"
    said=$(taskset -c 1 "$folder/rdkafka" produce "$broker" "$topic" "$folder/events")
    sed 's/.*"cpu_us_per_event":\([0-9.]*\).*/\1/' <<<"$said" >>"$folder/rdkafka.cpu"
    awk -F'[:,}]' '{ print $2 / $6 }' <<<"$said" >>"$folder/rdkafka.rate"
    bytes=$(awk -F'[:,}]' '{ print $4 / $2 }' <<<"$said")
}
live() {
    serve "live$1" "$broker"
    load "$((seconds + SETTLE_SECONDS + 1))" &
    local driver=$! cpu spool before
    sleep "$SETTLE_SECONDS"
    cpu=$(cpu_ns delivery) spool=$(cpu_ns spool) before=$(count delivered_total)
    sleep "$seconds"
    before=$(($(count delivered_total) - before))
    ratio "$(($(cpu_ns delivery) - cpu))" "$((before * 1000))" >>"$folder/live"
    ratio "$(($(cpu_ns spool) - spool))" "$((before * 1000))" >>"$folder/live.spool"
    echo "$((before / seconds))" >>"$folder/live.rate"
    wait "$driver"
    stop_edge
}

serve nobody 127.0.0.1:9
load "$seconds"
sleep 1
stop_edge
for round in $(seq "$rounds"); do
    mkdir "$folder/round$round" "$folder/strict$round"
    cp -a "$folder/nobody/spool" "$folder/round$round/spool"
    cp -a "$folder/nobody/spool" "$folder/strict$round/spool"
    backlog "round$round" backlog
    backlog "strict$round" strict 'transactions = true'
    rdkafka "$round"
    rm -rf "$folder/round$round" "$folder/strict$round"
    live "$round"
    rm -rf "$folder/live$round"
    echo "round $round: backlog $(tail -n 1 "$folder/backlog"), strict $(tail -n 1 "$folder/strict"), live $(tail -n 1 "$folder/live")," \
        "rdkafka $(tail -n 1 "$folder/rdkafka.cpu") µs per event"
done

of() { median <"$folder/$1"; }
cat <<END

$events events of $bytes bytes; $rounds rounds; medians.
                                   µs of CPU per event   of librdkafka's   events/s
delivery thread, backlog           $(of backlog)                $(ratio "$(of backlog)" "$(of rdkafka.cpu)")            $(of backlog.rate)
delivery thread, in transactions   $(of strict)                $(ratio "$(of strict)" "$(of rdkafka.cpu)")            $(of strict.rate)
delivery thread, live              $(of live)                $(ratio "$(of live)" "$(of rdkafka.cpu)")            $(of live.rate) of $rate
librdkafka, one call per event     $(of rdkafka.cpu)                1                 $(of rdkafka.rate)
spool thread, the same three       $(of backlog.spool), $(of strict.spool), $(of live.spool)
END
