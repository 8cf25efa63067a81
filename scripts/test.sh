#!/usr/bin/env bash
# Runs `go test` with the given flags in every module of the repository that has
# packages with tests.
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
	say "go test $* ./... in $dir"
	(cd "$dir" && go test "$@" ./...) || status=1
done
exit "$status"
