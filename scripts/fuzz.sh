#!/usr/bin/env bash
# Runs every fuzz target of every module for a short time: FUZZTIME each,
# 5s unless set. go test fuzzes one target at a time. Left alone, it spends up to
# a minute to make each large input that is new smaller, and tries nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# targets prints "package target" for the fuzz targets of a module. It reads the
# test files, which needs no build.
targets() {
	local dir pkg
	(cd "$1" && go list -f '{{.Dir}} {{.ImportPath}}' ./...) | while read -r dir pkg; do
		find "$dir" -maxdepth 1 -name '*_test.go' -exec sed -n "s|^func \\(Fuzz[A-Za-z0-9_]*\\)(.*|$pkg \\1|p" {} +
	done
}

status=0
for dir in $(modules); do
	[ "$dir" = ./tools ] && continue
	while read -r pkg target; do
		say "fuzz $target in $pkg"
		(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-5s}" -fuzzminimizetime 100x "$pkg") || status=1
	done < <(targets "$dir")
done
exit "$status"
