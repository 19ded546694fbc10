#!/usr/bin/env bash
# Whether the pages of reports are whole and can be read: in Chromium, 390 and 1280 px wide, light and dark.
#
#   page.sh                   make the four reports of bench/examples/reports.rs and look at their pages
#   page.sh PAGE.html...      look at these pages
#
# page/check.mjs says what a page has to hold. Screenshots go to a new temporary folder, or to $BRINK_SHOTS.
# Installs Debian's chromium with fonts if it is missing (root), and keeps two npm packages outside the clone, in
# ${BRINK_CACHE:-$HOME/.cache/brink}/page. Exit code 69: a browser cannot be had here.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BRINK_CACHE:-$HOME/.cache/brink}
readonly UNAVAILABLE=69
readonly INSTALL_SECONDS_MAX=600 CHECK_SECONDS_MAX=600

say() { echo "page.sh: $*" >&2; }
unavailable() { say "$*"; exit "$UNAVAILABLE"; }

command -v node >/dev/null && command -v npm >/dev/null || unavailable "there is no node with npm; install Node, 20 or later"
if ! command -v chromium >/dev/null; then
    say "installing chromium"
    apt-get update -q >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive timeout "$INSTALL_SECONDS_MAX" \
        apt-get install -y -q --no-install-recommends chromium fonts-liberation >/dev/null 2>&1 ||
        unavailable "apt-get could not install chromium; is this Debian, and are you root?"
fi

# The folder's name changes with the versions.
packages="$cache/page/$(sha256sum "$here/page/package.json" | cut -c1-12)"
mkdir -p "$packages"
exec 9>"$packages/lock"
flock -w "$INSTALL_SECONDS_MAX" 9 || unavailable "another installation holds $packages/lock"
if [[ ! -e "$packages/complete" ]]; then
    say "collecting the npm packages into $packages"
    cp "$here/page/package.json" "$packages/"
    timeout "$INSTALL_SECONDS_MAX" npm install --prefix "$packages" --ignore-scripts --no-audit --no-fund \
        --no-package-lock >"$packages/log" 2>&1 </dev/null || {
        tail -n 5 "$packages/log" >&2
        unavailable "npm could not install them; all it said is in $packages/log"
    }
    touch "$packages/complete"
fi
exec 9>&-

shots=${BRINK_SHOTS:-$(mktemp -d "${TMPDIR:-/tmp}/brink-page.XXXXXX")}
mkdir -p "$shots"
pages=("$@")
if [[ ${#pages[@]} -eq 0 ]]; then
    (cd "$here/.." && cargo run --quiet --locked --example reports "$shots") >/dev/null
    pages=("$shots"/*/report.html)
fi
timeout --kill-after=10 "$CHECK_SECONDS_MAX" node "$here/page/check.mjs" "$packages" "$(command -v chromium)" "$shots" "${pages[@]}"
