#!/usr/bin/env bash
# Runs the benchmarks of the benchmarks module.
#
#   bench.sh short          each for a moment, to see that it works
#   bench.sh COUNT FILE     COUNT times each, into FILE, then benchstat's table
#   bench.sh results FILE   benchmarks/RESULTS.md and its charts from FILE
#
# The runs of one benchmark are spread over time (COUNT passes over all of them,
# not COUNT runs in a row), so that a machine that slows down slows all alike.
# BENCH selects benchmarks by regular expression.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# about prints what a reader of the figures needs to know, in the form of the
# benchmarks' own "goos: linux".
about() {
	printf 'go: %s\n' "$(go env GOVERSION)"
	printf 'strata: %s\n' "$(git describe --always --dirty 2>/dev/null || echo unknown)"
	printf 'kernel: %s\n' "$(uname -sr)"
	if [ -r /proc/meminfo ]; then
		awk '/^MemTotal/ { printf "memory: %.0f GiB\n", $2 / 1048576 }' /proc/meminfo
	fi
	if command -v redis-server >/dev/null; then
		printf 'redis-server: %s\n' "$(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')"
	fi
	# The peers, as go.mod has them.
	sed -n '/^require (/,/^)/{/indirect/d;/strata /d;/golang.org/d;s|^\t\(.*\) \(v.*\)|\1: \2|p;}' benchmarks/go.mod |
		sed 's|^[a-z0-9.]*/||; s|/v[0-9]*:|:|; s|/|-|g'
}

bench() { (cd benchmarks && go test -run '^$' -bench "${BENCH:-.}" "$@" ./...); }

if [ "$1" = short ]; then
	bench -short -benchtime 100x
	exit
fi

if [ "$1" = results ]; then
	file=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
	(cd benchmarks && go run ./report -out . "$file")
	say "see benchmarks/RESULTS.md"
	exit
fi

count=$1 out=$2
mkdir -p "$(dirname "$out")"
about >"$out"
for ((i = 1; i <= count; i++)); do
	say "benchmarks, pass $i of $count"
	bench -benchtime "${BENCHTIME:-1s}" | tee -a "$out"
done
say "summary of $out"
"$(benchstat)" -col /impl "$out"
