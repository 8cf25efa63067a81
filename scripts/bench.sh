#!/usr/bin/env bash
# Runs the benchmarks of the benchmarks module.
#
#   bench.sh short             every benchmark for a moment, to see that it works
#   bench.sh ROUNDS DIR        the workloads, into DIR/PART.txt; PART="hit disk" runs some
#   bench.sh results DIR       benchmarks/RESULTS.md and its charts from DIR
#   bench.sh only ROUNDS FILE  the benchmarks that BENCH, a regular expression, matches,
#                              ROUNDS passes over them, and benchstat's table
#
# In a workload all caches are in one process and take turns of BENCHTIME (30ms),
# ROUNDS of them each; see benchmarks/turns.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# workloads are the benchmarks of each part: a folder of benchmarks/ and a regular
# expression.
declare -A workloads=(
	[hit]='^Benchmark(L1Hit|ReadThrough|Mixed|L1Set)$'
	[herd]='^BenchmarkStampede'
	[remote]='^Benchmark(L2Hit|Batch|Set|Mixed|TrackedHit)$'
	[hitratio]='^BenchmarkMissRatio$'
	[disk]='^BenchmarkDisk$'
	[codec]='^BenchmarkValues$'
	[start]='^BenchmarkStart$'
)
all=(hit herd remote hitratio disk codec start)

# about prints what a reader of the figures needs to know, in the form of the
# benchmarks' own "goos: linux".
about() {
	printf 'go: %s\n' "$(go env GOVERSION)"
	printf 'goos: %s\ngoarch: %s\n' "$(go env GOOS)" "$(go env GOARCH)"
	printf 'strata: %s\n' "$(git describe --always --dirty 2>/dev/null || echo unknown)"
	printf 'kernel: %s\n' "$(uname -sr)"
	if [ -r /proc/cpuinfo ]; then
		printf 'cpu: %s, %d cores\n' "$(sed -n '/^model name/{s/.*: //p;q;}' /proc/cpuinfo)" "$(grep -c '^processor' /proc/cpuinfo)"
	fi
	if [ -r /proc/meminfo ]; then
		awk '/^MemTotal/ { printf "memory: %.0f GiB\n", $2 / 1048576 }' /proc/meminfo
	fi
	if command -v redis-server >/dev/null; then
		printf 'redis-server: %s\n' "$(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')"
	fi
	# The peers, as go.mod has them.
	sed -n '/^require (/,/^)/{/indirect/d;/strata /d;/golang.org/d;s|^\t\(.*\) \(v.*\)|\1: \2|p;}' benchmarks/go.mod |
		sed 's|^[a-z0-9.]*/||; s|/v[0-9]*:|:|; s|/|-|g' | tr '[:upper:]' '[:lower:]'
}

bench() { (cd benchmarks && go test -run '^$' -timeout 60m "$@"); }

case $1 in
short)
	bench -bench . -short -benchtime 100x ./...
	;;
results)
	files=("$2"/*.txt)
	[ -f "${files[0]}" ] || die "$2 has no results; run make bench first"
	dir=$(cd "$2" && pwd)
	(cd benchmarks && go run ./report -out . "$dir"/*.txt)
	say "see benchmarks/RESULTS.md"
	;;
only)
	count=$2 out=$3
	mkdir -p "$(dirname "$out")"
	about >"$out"
	for ((i = 1; i <= count; i++)); do
		say "benchmarks, pass $i of $count"
		bench -bench "$BENCH" -benchtime "${BENCHTIME:-1s}" ./... | tee -a "$out"
	done
	say "summary of $out"
	"$(benchstat)" -col /impl "$out"
	;;
*)
	rounds=$1 out=$2
	read -ra parts <<<"${PART:-${all[*]}}"
	for part in "${parts[@]}"; do
		[ -n "${workloads[$part]:-}" ] || die "there is no part $part; they are: ${all[*]}"
	done
	mkdir -p "$out"
	for part in "${parts[@]}"; do
		start=$SECONDS
		say "benchmarks, $part"
		{
			about
			bench -bench "${workloads[$part]}" -count "$rounds" -benchtime "${BENCHTIME:-30ms}" "./$part"
		} >"$out/$part.tmp" || {
			grep -v '/impl=' "$out/$part.tmp" >&2
			die "$part failed"
		}
		mv "$out/$part.tmp" "$out/$part.txt"
		say "benchmarks, $part: $(grep -c '/impl=' "$out/$part.txt") results in $((SECONDS - start)) s, in $out/$part.txt"
	done
	;;
esac
