#!/bin/sh
# Announces one table again and again under ever newer versions, so that an appliance swaps it while
# somebody measures:
#
#   tests/measure/swaps.sh STORE SECONDS COUNT
#
# STORE is the folder of `[tables] url`, in which a table was published. Each version is the same file
# under another name; nothing but the name, the manifest and the announcement is made anew.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
store=$1 seconds=$2 count=$3
version=$(sed -n 's/.*"version": \([0-9]*\).*/\1/p' "$store/current.json")
name() { printf '%020d' "$1"; }
first="$store/tables/$(name "$version").table"
made=0
while [ "$made" -lt "$count" ]; do
    next=$((version + made + 1))
    ln -f "$first" "$store/tables/$(name "$next").table"
    sed -e "s/\"version\": [0-9]*/\"version\": $next/" \
        -e "s/$(name "$version")/$(name "$next")/" \
        -e "s/\"published_ms\": [0-9]*/\"published_ms\": $(date +%s)000/" \
        "$store/manifests/$(name "$version").json" > "$store/next.json"
    cp "$store/next.json" "$store/manifests/$(name "$next").json"
    mv "$store/next.json" "$store/current.json"
    made=$((made + 1))
    sleep "$seconds"
done
# The names are taken back; what is announced last stays.
while [ "$made" -gt 1 ]; do
    made=$((made - 1))
    rm -f "$store/tables/$(name $((version + made))).table" \
        "$store/manifests/$(name $((version + made))).json"
done
