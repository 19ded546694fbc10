#!/usr/bin/env bash
# S3A for the Spark that python.sh brings: how it reads an S3 server.
#
#   s3a.sh                 collect the jars, once, and print their folder
#
# What is being done, and what went wrong, is told on standard error. Exit code 69: they cannot be had here
# (no Java, no Maven, no network).
#
# Maven collects the jars of s3a/pom.xml with the machine's own settings, into a folder outside the
# clone: ${BRINK_CACHE:-$HOME/.cache/brink}.
set -euo pipefail

readonly WHAT="S3A client" FETCH_SECONDS_MAX=600
. "$(dirname "${BASH_SOURCE[0]}")/service.sh"

collect_jars s3a
jars_of s3a
