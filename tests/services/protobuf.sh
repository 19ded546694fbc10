#!/usr/bin/env bash
# Kafka and Protobuf for the Spark of protobuf/requirements.txt: its source of topics, and from_protobuf.
#
#   protobuf.sh            collect the jars, once, and print their folder
#
# What is being done, and what went wrong, is told on standard error. Exit code 69: they cannot be had here
# (no Java, no Maven, no network).
#
# Maven collects the jars of protobuf/pom.xml with the machine's own settings, into a folder outside the
# clone: ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

readonly WHAT="Protobuf reader" FETCH_SECONDS_MAX=600
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"

# Spark 3.4 is for no newer Java.
collect_jars protobuf 17
jars_of protobuf
