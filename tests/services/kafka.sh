#!/usr/bin/env bash
# Real Apache Kafka for tests and for the curious: KRaft, loopback only, one broker or several, a process each.
#
#   kafka.sh fetch         collect the jars, once; later starts need no network
#   kafka.sh start [DIR]   start a cluster that keeps everything below DIR (a new temporary folder, if
#                          none is given), and say how to stop it
#   kafka.sh stop DIR      stop it, and remove the folder
#   kafka.sh again DIR/N   start broker N of a cluster that was killed: where it was, with what it had
#   kafka.sh read ADDRESS TOPIC DESCRIPTORS MESSAGE
#                          what Apache's own consumer sees of a topic, as JSON (kafka/ReadTopic.java)
#   kafka.sh run           start one, and stop it when standard input ends: a test that holds the
#                          other end leaves no broker behind, however it dies
#
# Standard output is for programs: `dir=…`, `address=127.0.0.1:PORT` of the first broker, `addresses=…` of all of
# them, `version=…`, and for TLS with a user, `secure=127.0.0.1:PORT` and `ca_file=…`; the user is `edge` and its
# password `sesame`, by PLAIN or SCRAM. Broker N keeps everything in DIR/N, its process id in DIR/N/pid. What is
# being done, and what went wrong, is told on standard error. Exit code 69: Kafka cannot be had here (no Java, no
# Maven, no network); 1: it can, and did not start.
#
# BRINK_KAFKA_BROKERS is how many brokers there are, 1 if it is not set. BRINK_KAFKA_ADVERTISED=HOST:PORT is the
# address that clients of a single one are sent to, if it is another one: that of a proxy. BRINK_KAFKA_EXPIRES_MS
# is how long brokers remember a silent producer. With BRINK_KAFKA_ACLS=1 brokers heed permissions; whatever has
# none is everybody's.
#
# Maven collects the jars of kafka/pom.xml with the machine's own settings, into a folder outside the
# clone: ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly WHAT=broker LOG=broker.log
readonly BROKERS=${BRINK_KAFKA_BROKERS:-1} ADVERTISED=${BRINK_KAFKA_ADVERTISED:-}
# It keeps a test's key from nobody.
readonly STORE_PASSWORD=not-a-secret
readonly READ_SECONDS_MAX=120 FETCH_SECONDS_MAX=600 START_SECONDS_MAX=60
. "$here/service.sh"

# The folder of its jars.
jars() { jars_of kafka; }

mark() { echo "-Dbrink.dir=$1"; }
is_home() { [[ -e "$1/1/server.properties" ]]; }

fetch() { collect_jars kafka; }

# A certificate for 127.0.0.1 that vouches for itself.
certify() {
    local dir=$1
    local store=(-keystore "$dir/keys.p12" -storetype PKCS12 -storepass "$STORE_PASSWORD" -alias broker)
    keytool -genkeypair "${store[@]}" -keyalg EC -groupname secp256r1 -dname CN=brink-test \
        -ext san=ip:127.0.0.1,dns:localhost -validity 30 >"$dir/keytool.log" 2>&1 &&
        keytool -exportcert -rfc "${store[@]}" -file "$dir/ca.pem" >>"$dir/keytool.log" 2>&1
}

# The lesser of how many brokers there are and what is wished.
copies() { echo $((BROKERS < $1 ? BROKERS : $1)); }

# Writes the configuration of a broker. Everything that is kept per topic is as small as it can be, and one that is
# killed is missed soon.
configure() {
    local dir=$1 node=$2 port=$3 secure=$4 controller=$5 voters=$6
    local login=org.apache.kafka.common.security
    cat >"$dir/$node/server.properties" <<END
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$port,SECURE://127.0.0.1:$secure,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://${ADVERTISED:-127.0.0.1:$port},SECURE://127.0.0.1:$secure
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_edge="sesame";
listener.name.secure.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.ssl.keystore.location=$dir/keys.p12
listener.name.secure.ssl.keystore.password=$STORE_PASSWORD
$([[ -z ${BRINK_KAFKA_ACLS:-} ]] || echo "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true")
producer.id.expiration.ms=${BRINK_KAFKA_EXPIRES_MS:-86400000}
producer.id.expiration.check.interval.ms=200
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.dirs=$dir/$node/log
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=$(copies 3)
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=$(copies 3)
transaction.state.log.min.isr=$(copies 2)
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END
}

# Becomes the java that works for a folder; to be called in a shell of its own.
become_java() {
    local dir=$1
    shift
    # The broker lives for seconds: a small heap, the collector that starts fastest, and no optimising
    # compiler.
    exec java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=INFO \
        "$(mark "$dir")" -cp "$(jars)/*" "$@"
}

# Makes the folder of a broker what a broker starts from. Its log begins with what that said.
format() {
    local home=$1 cluster=$2
    (become_java "$home" kafka.tools.StorageTool format -t "$cluster" \
        --add-scram 'SCRAM-SHA-256=[name=edge,password=sesame]' \
        --add-scram 'SCRAM-SHA-512=[name=edge,password=sesame]' \
        -c "$home/server.properties") >"$home/$LOG" 2>&1 </dev/null
}

launch() {
    local home=$1
    become_java "$home" kafka.Kafka "$home/server.properties" >>"$home/$LOG" 2>&1 </dev/null &
    echo $! >"$home/pid"
    disown
}

# Waits for the last broker that was started in a folder.
wait_until_started() {
    local home=$1 starts=$2
    for _ in $(seq $((START_SECONDS_MAX * 10))); do
        [[ $(grep -cF 'Kafka Server started' "$home/$LOG") -ge $starts ]] && return
        # Not by its command line, which is not java's at once.
        kill -0 "$(cat "$home/pid")" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

start_once() {
    local dir=$1 node cluster voters= ports=() secures=() controllers=() addresses=() formats=()
    # Sixteen bytes in base64.
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
    rm -rf "$dir"/[0-9]* "$dir/keys.p12"
    certify "$dir" || { say "there is no certificate; see $dir/keytool.log"; return 1; }
    for node in $(seq "$BROKERS"); do
        ports[node]=$(free_port)
        secures[node]=$(free_port)
        controllers[node]=$(free_port)
        addresses+=("127.0.0.1:${ports[node]}")
        voters+=${voters:+,}$node@127.0.0.1:${controllers[node]}
    done
    for node in $(seq "$BROKERS"); do
        mkdir -p "$dir/$node"
        configure "$dir" "$node" "${ports[node]}" "${secures[node]}" "${controllers[node]}" "$voters"
        format "$dir/$node" "$cluster" &
        formats+=($!)
    done
    for format in "${formats[@]}"; do wait "$format" || return 1; done
    for node in $(seq "$BROKERS"); do launch "$dir/$node"; done
    for node in $(seq "$BROKERS"); do wait_until_started "$dir/$node" 1 || return 1; done
    echo "dir=$dir"
    echo "address=${addresses[0]}"
    echo "addresses=$(IFS=,; echo "${addresses[*]}")"
    echo "secure=127.0.0.1:${secures[1]}"
    echo "ca_file=$dir/ca.pem"
    echo "version=$(basename "$(jars)"/kafka-clients-*.jar .jar | sed 's/kafka-clients-//')"
}

# Starts a broker again whose process has ended.
again() {
    local home starts
    home=$(cd "$1" && pwd)
    is_running "$home" && { say "the broker of $home runs"; exit 1; }
    starts=$(grep -cF 'Kafka Server started' "$home/$LOG" || true)
    launch "$home"
    wait_until_started "$home" $((starts + 1)) || { tail -n 30 "$home/$LOG" >&2; exit 1; }
}

read_topic() {
    fetch
    timeout "$READ_SECONDS_MAX" java -Xmx256m -cp "$(jars)/*" "$here/kafka/ReadTopic.java" "$@"
}

case "${1:-}" in
    again) again "${2:?usage: kafka.sh again DIR/N}" ;;
    read) read_topic "${@:2}" ;;
    *) serve "$@" ;;
esac
