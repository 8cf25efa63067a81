#!/usr/bin/env bash
# Prints the test coverage of every public package: percent of statements that any
# test of the module runs, for a store is tested by the suites of other packages
# too. Fails where one is below LEAST (85).
#
#   coverage.sh             the table
#   coverage.sh functions   also the functions that nothing runs, by package
#   coverage.sh print ...   the same from the profile of the last run
#
# Programs, examples, and packages named *test, which are parts of tests, are left
# out of the table. The profile is in .cache/cover.out.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

profile=.cache/cover.out
mkdir -p .cache
if [ "${1:-}" = print ]; then
	shift
else
	go test -timeout 30m -coverprofile "$profile" -coverpkg ./... ./... >.cache/cover.log 2>&1 || {
		grep -v 'no test files' .cache/cover.log >&2
		die 'tests failed; see .cache/cover.log'
	}
fi

# A block is in the profile once for each test binary: it counts as run if any ran
# it.
awk -v least="${LEAST:-85}" '
	NR == 1 { next }
	{
		pkg = $1
		sub(/\/[^\/]*$/, "", pkg)
		sub(/^github.com\/stratacache\/strata\/?/, "", pkg)
		if (pkg ~ /(^|\/)(internal|cmd|examples|test)(\/|$)/ || pkg ~ /test$/) next
		if (!($1 in size)) { size[$1] = $2; of[$1] = pkg; total[pkg] += $2 }
		if ($3 > 0 && !($1 in ran)) { ran[$1] = 1; run[pkg] += $2 }
	}
	END {
		print "| package | statements | covered |"
		print "| --- | --- | --- |"
		for (pkg in total) {
			share = 100 * run[pkg] / total[pkg]
			printf "| `%s` | %d | %.1f %% |\n", pkg, total[pkg], share | "sort"
			if (share < least) low = low " " pkg
		}
		close("sort")
		if (low != "") { print "below " least " %:" low > "/dev/stderr"; exit 1 }
	}' "$profile"

if [ "${1:-}" = functions ]; then
	echo
	go tool cover -func "$profile" | awk '$NF == "0.0%" { sub(/^github.com\/stratacache\/strata\//, ""); print "* " $1 " " $2 }' |
		grep -Ev '(^\* |/)(internal|cmd|examples)/|test/' || true
fi
