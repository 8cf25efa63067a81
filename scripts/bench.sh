#!/usr/bin/env bash
# Runs the benchmarks of the benchmarks module.
#
#   bench.sh short          each for a moment, to see that it works
#   bench.sh COUNT FILE     COUNT times each, into FILE, then benchstat's table
#
# The runs of one benchmark are spread over time (COUNT passes over all of them,
# not COUNT runs in a row), so that a machine that slows down slows all alike.
# BENCH selects benchmarks by regular expression.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

bench() { (cd benchmarks && go test -run '^$' -bench "${BENCH:-.}" "$@" ./...); }

if [ "$1" = short ]; then
	bench -short -benchtime 100x
	exit
fi

count=$1 out=$2
mkdir -p "$(dirname "$out")"
: >"$out"
for ((i = 1; i <= count; i++)); do
	say "benchmarks, pass $i of $count"
	bench -benchtime "${BENCHTIME:-1s}" | tee -a "$out"
done
say "summary of $out"
"$(benchstat)" -col /impl "$out"
