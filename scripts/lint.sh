#!/usr/bin/env bash
# Checks formatting, vets and lints every module:
#
#   lint.sh [fmt] [vet] [golangci] [tidy] [shell]      all of them by default
#
# A step runs even if the one before it failed, so that one run shows all there
# is to mend.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

status=0
bad() {
	printf '%s\n' "$*"
	status=1
}

# each runs a command in every module.
each() {
	local dir
	for dir in $(modules); do
		(cd "$dir" && "$@") || bad "$* failed in $dir"
	done
}

lint() {
	local out
	say "lint: $1"
	case $1 in
	fmt)
		out=$(gofmt -l -s .) || bad 'gofmt failed'
		[ -z "$out" ] || bad "not formatted (run \"make fmt\"): $out"
		;;
	vet) each go vet ./... ;;
	golangci)
		out=$(golangci_lint) || { bad 'cannot build golangci-lint'; return; }
		each "$out" run --allow-parallel-runners ./...
		;;
	tidy) each go mod tidy -diff ;;
	shell)
		# Not a dependency of the project: checked where it is installed.
		! command -v shellcheck >/dev/null || shellcheck -x scripts/*.sh .ci/run || status=1
		;;
	*) die "lint.sh: no step is called $1" ;;
	esac
}

[ $# -gt 0 ] || set -- fmt vet golangci tidy shell
for step; do lint "$step"; done
exit "$status"
