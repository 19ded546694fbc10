#!/usr/bin/env bash
# One real Apache Kafka broker for tests and for the curious: KRaft, one process, loopback only.
#
#   kafka.sh fetch         collect the jars, once; later starts need no network
#   kafka.sh start [DIR]   start a broker that keeps everything below DIR (a new temporary folder, if
#                          none is given), and say how to stop it
#   kafka.sh stop DIR      stop it, and remove the folder
#   kafka.sh read ADDRESS TOPIC DESCRIPTORS MESSAGE
#                          what Apache's own consumer sees of a topic, as JSON (kafka/ReadTopic.java)
#   kafka.sh run           start one, and stop it when standard input ends: a test that holds the
#                          other end leaves no broker behind, however it dies
#
# Standard output is for programs: `dir=…`, `address=127.0.0.1:PORT`, `version=…`, and for TLS with a
# user, `secure=127.0.0.1:PORT` and `ca_file=…`; the user is `edge` and its password `sesame`, by PLAIN or
# SCRAM. What is being done, and what went wrong, is told on standard error. Exit code 69: the broker cannot be had here (no Java,
# no Maven, no network); 1: it can, and did not start.
#
# BRINK_KAFKA_ADVERTISED=HOST:PORT is the address that clients are sent to, if it is another one: that
# of a proxy. BRINK_KAFKA_EXPIRES_MS is how long the broker remembers a silent producer.
#
# Maven collects the jars of kafka/pom.xml with the machine's own settings, into a folder outside the
# clone: ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly WHAT=broker LOG=broker.log
# Sixteen bytes in base64; every broker is a cluster of its own all the same.
readonly CLUSTER_ID=QnJpbmtUZXN0Q2x1c3Rlcg
# It keeps a test's key from nobody.
readonly STORE_PASSWORD=not-a-secret
readonly READ_SECONDS_MAX=120 FETCH_SECONDS_MAX=600 START_SECONDS_MAX=60
. "$here/service.sh"

# The folder of the jars; its name changes with the pom.
jars() { echo "$cache/kafka-$(sha256sum "$here/kafka/pom.xml" | cut -c1-12)"; }

mark() { echo "-Dbrink.dir=$1"; }
is_home() { [[ -e "$1/server.properties" ]]; }

fetch() {
    local jars java
    command -v java >/dev/null || unavailable "there is no java; install a Java runtime, 17 or later"
    java=$(java -XshowSettings:properties -version 2>&1 |
        sed -n 's/.*java\.specification\.version = //p') || unavailable "java does not run"
    [[ "$java" =~ ^[0-9]+$ && "$java" -ge 17 ]] ||
        unavailable "java is version ${java:-unknown}; the broker needs 17 or later"
    jars=$(jars)
    [[ -e "$jars/complete" ]] && return
    command -v mvn >/dev/null ||
        unavailable "there is no mvn; install Maven, which collects the broker's jars"
    once "$jars" "collecting the broker's jars into $jars" "Maven could not collect the jars" \
        mvn --batch-mode --file "$here/kafka/pom.xml" dependency:copy-dependencies \
        "-DoutputDirectory=$jars"
}

# A certificate for 127.0.0.1 that vouches for itself.
certify() {
    local dir=$1
    local store=(-keystore "$dir/keys.p12" -storetype PKCS12 -storepass "$STORE_PASSWORD" -alias broker)
    keytool -genkeypair "${store[@]}" -keyalg EC -groupname secp256r1 -dname CN=brink-test \
        -ext san=ip:127.0.0.1,dns:localhost -validity 30 >"$dir/keytool.log" 2>&1 &&
        keytool -exportcert -rfc "${store[@]}" -file "$dir/ca.pem" >>"$dir/keytool.log" 2>&1
}

# Writes the configuration. Everything that is kept per topic is as small as one broker allows.
configure() {
    local dir=$1 port=$2 controller=$3 secure=$4
    local login=org.apache.kafka.common.security
    cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,SECURE://127.0.0.1:$secure,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://${BRINK_KAFKA_ADVERTISED:-127.0.0.1:$port},SECURE://127.0.0.1:$secure
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_edge="sesame";
listener.name.secure.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.ssl.keystore.location=$dir/keys.p12
listener.name.secure.ssl.keystore.password=$STORE_PASSWORD
producer.id.expiration.ms=${BRINK_KAFKA_EXPIRES_MS:-86400000}
log.dirs=$dir/log
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
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
    exec java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.level=INFO \
        "$(mark "$dir")" -cp "$(jars)/*" "$@"
}

wait_until_started() {
    local dir=$1 pid=$2
    for _ in $(seq $((START_SECONDS_MAX * 10))); do
        grep -qF 'Kafka Server started' "$dir/broker.log" && return
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

start_once() {
    local dir=$1 port controller secure
    port=$(free_port)
    controller=$(free_port)
    secure=$(free_port)
    rm -rf "$dir/log" "$dir/keys.p12"
    certify "$dir" || { say "there is no certificate; see $dir/keytool.log"; return 1; }
    configure "$dir" "$port" "$controller" "$secure"
    # The broker's log begins with what the formatting said.
    (become_java "$dir" kafka.tools.StorageTool format --standalone -t "$CLUSTER_ID" \
        --add-scram 'SCRAM-SHA-256=[name=edge,password=sesame]' \
        --add-scram 'SCRAM-SHA-512=[name=edge,password=sesame]' \
        -c "$dir/server.properties") >"$dir/broker.log" 2>&1 </dev/null || return 1
    become_java "$dir" kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    wait_until_started "$dir" $! || return 1
    echo "dir=$dir"
    echo "address=127.0.0.1:$port"
    echo "secure=127.0.0.1:$secure"
    echo "ca_file=$dir/ca.pem"
    echo "version=$(basename "$(jars)"/kafka-clients-*.jar .jar | sed 's/kafka-clients-//')"
}

read_topic() {
    fetch
    timeout "$READ_SECONDS_MAX" java -Xmx256m -cp "$(jars)/*" "$here/kafka/ReadTopic.java" "$@"
}

case "${1:-}" in
    read) read_topic "${@:2}" ;;
    *) serve "$@" ;;
esac
