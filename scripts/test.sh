#!/usr/bin/env bash
# Runs `go test` with the given flags in every module of the repository that has
# packages with tests; the benchmarks beside other libraries without -race.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

status=0
for dir in $(modules); do
	[ "$dir" = ./tools ] && continue
	if [ "$dir" = ./test/interop ] && ! have_cxx; then
		say "$dir is left out: DuckDB needs a C compiler and the C++ library"
		continue
	fi
	flags=("$@")
	if [ "$dir" = ./benchmarks ]; then
		# Most of what runs here is other people's: gocache writes in the
		# background while ristretto closes, which the detector calls a race.
		flags=()
		for flag; do [ "$flag" = -race ] || flags+=("$flag"); done
	fi
	say "go test ${flags[*]-} ./... in $dir"
	(cd "$dir" && go test ${flags[@]+"${flags[@]}"} ./...) || status=1
done
exit "$status"
