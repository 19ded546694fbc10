#!/usr/bin/env bash
# A Python with the independent readers of requirements.txt: Spark, DuckDB, librdkafka, and Google's
# Protobuf.
#
#   python.sh              install them, once, and print the path of the interpreter
#   python.sh NAME         the same of NAME/requirements.txt, in an environment of its own
#
# pip works with the machine's own settings, into a virtual environment outside the clone:
# ${BRINK_CACHE:-$HOME/.cache/brink}. That takes a few minutes and 650 MB; later calls need no network.
# What is being done, and what went wrong, is told on standard error. Exit code 69: the readers cannot
# be had here (no Python, no Java, no network).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/${1:+$1/}requirements.txt
cache=${BRINK_CACHE:-$HOME/.cache/brink}
readonly UNAVAILABLE=69
readonly INSTALL_SECONDS_MAX=1200

say() { echo "python.sh: $*" >&2; }
unavailable() { say "$*"; exit "$UNAVAILABLE"; }

command -v java >/dev/null ||
    unavailable "there is no java, which Spark runs on; install a Java runtime, 17 or later"
command -v python3 >/dev/null || unavailable "there is no python3; install Python, 3.11 or later"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    unavailable "python3 does not run"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    unavailable "python3 is version $version; the readers need 3.11 or later"

# Its name changes with the requirements and with the interpreter.
venv="$cache/python-$version-$(sha256sum "$requirements" | cut -c1-12)"
mkdir -p "$cache"
# Tests that start at once install once.
exec 9>"$venv.lock"
flock -w "$INSTALL_SECONDS_MAX" 9 || unavailable "another installation holds $venv.lock"
if [[ ! -e "$venv/complete" ]]; then
    say "installing the readers into $venv; that takes a few minutes"
    rm -rf "$venv"
    {
        python3 -m venv "$venv" &&
            timeout "$INSTALL_SECONDS_MAX" "$venv/bin/pip" install --no-input --no-cache-dir \
                --disable-pip-version-check --requirement "$requirements" &&
            # A Python that is newer than they know installs them, and cannot run them.
            "$venv/bin/python3" -c 'import pyspark.sql'
    } >"$venv.log" 2>&1 </dev/null || {
        tail -n 5 "$venv.log" >&2
        say "on Debian, venv is in the package python3-venv; all that was said is in $venv.log"
        unavailable "the readers could not be installed"
    }
    touch "$venv/complete"
    say "done"
fi
echo "$venv/bin/python3"
