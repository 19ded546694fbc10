#!/usr/bin/env bash
# Whether HdrHistogram's own tools read what we write: Java's log processor, and Python's hdrhistogram.
#
#   hdr.sh                  make the reports of bench/examples/reports.rs and compare those
#   hdr.sh FOLDER...        compare these, each made by `bench run --out FOLDER`
#
# hdr/compare.py says what is compared. Maven collects the jar, pip the package, with the machine's own settings, into
# ${BRINK_CACHE:-$HOME/.cache/brink}, once. Exit code 69: they cannot be had here (no Java, no Maven, no network).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BRINK_CACHE:-$HOME/.cache/brink}
readonly UNAVAILABLE=69
readonly FETCH_SECONDS_MAX=600 COMPARE_SECONDS_MAX=600

say() { echo "hdr.sh: $*" >&2; }
unavailable() { say "$*"; exit "$UNAVAILABLE"; }

for command in java mvn python3; do
    command -v "$command" >/dev/null || unavailable "there is no $command; install a Java runtime, Maven and Python 3"
done

# The folder's name changes with what is wanted.
tools="$cache/hdr-$(cat "$here/hdr/pom.xml" "$here/hdr/requirements.txt" | sha256sum | cut -c1-12)"
mkdir -p "$tools"
exec 9>"$tools/lock"
flock -w "$FETCH_SECONDS_MAX" 9 || unavailable "another fetch holds $tools/lock"
if [[ ! -e "$tools/complete" ]]; then
    say "collecting HdrHistogram for Java and for Python into $tools"
    {
        timeout "$FETCH_SECONDS_MAX" mvn --batch-mode --file "$here/hdr/pom.xml" \
            dependency:copy-dependencies "-DoutputDirectory=$tools" &&
            python3 -m venv "$tools/python" &&
            timeout "$FETCH_SECONDS_MAX" "$tools/python/bin/pip" install --no-input --no-cache-dir \
                --disable-pip-version-check --requirement "$here/hdr/requirements.txt"
    } >"$tools/log" 2>&1 </dev/null || {
        tail -n 5 "$tools/log" >&2
        unavailable "they could not be collected; all that was said is in $tools/log"
    }
    touch "$tools/complete"
fi
exec 9>&-

folders=("$@")
if [[ ${#folders[@]} -eq 0 ]]; then
    made=$(mktemp -d "${TMPDIR:-/tmp}/brink-hdr.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    (cd "$here/.." && cargo run --quiet --locked --example reports "$made") >/dev/null
    folders=("$made"/*/)
fi
timeout "$COMPARE_SECONDS_MAX" "$tools/python/bin/python3" "$here/hdr/compare.py" "$tools"/HdrHistogram-*.jar "${folders[@]}"
