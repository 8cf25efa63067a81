#!/usr/bin/env bash
# Runs the demo twice on one directory and checks what it promises: stdout is one
# JSON object, the first run calls the API, and the second makes no call at all.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/data"
CGO_ENABLED=0 go build -o "$dir/marketdata" ./examples/marketdata

field() { sed -n "s/.*\"$2\": *\([0-9][0-9]*\).*/\1/p" "$1"; }

for run in first second; do
	say "demo, $run run"
	"$dir/marketdata" --json --dir "$dir/data" >"$dir/$run.json" 2>"$dir/$run.log" </dev/null || {
		cat "$dir/$run.log" >&2
		die "the $run run failed"
	}
	cat "$dir/$run.json"
	[ "$(wc -l <"$dir/$run.json" | tr -d ' ')" = 1 ] || die "the $run run printed more than one line on stdout"
done
[ "$(field "$dir/first.json" api_calls)" -gt 0 ] || die 'the first run called no API'
[ "$(field "$dir/second.json" api_calls)" -eq 0 ] || die 'the second run called the API'
[ "$(field "$dir/second.json" disk)" -gt 0 ] || die 'the second run found nothing on disk'
say 'demo: the second run needed no API call'
