# shellcheck shell=bash
# Shared by the scripts of the repository: sourced, not run.

# root is the top of the repository; every script works from there.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# modules prints the directory of every Go module of the repository, the root
# first.
modules() {
	find . -name go.mod -not -path './.*/*' -not -path '*/testdata/*' | sed 's|/go.mod$||' | sort
}

# compiler prints the C compiler that cgo uses.
compiler() {
	local cc
	for cc in "$(go env CC)" gcc clang; do
		command -v "$cc" >/dev/null && printf '%s\n' "$cc" && return
	done
	return 1
}

# have_cc tells whether there is a C compiler that can link, which the race
# detector needs; have_cxx, whether it finds the C++ library too, which DuckDB
# needs. DuckDB reads strata's files in the tests of test/interop.
have_cc() { links; }

have_cxx() {
	if [ "$(uname)" = Darwin ]; then links -lc++; else links -lstdc++; fi
}

links() {
	local cc out status=0
	cc=$(compiler) || return 1
	out=$(mktemp)
	echo 'int main(void) { return 0; }' | "$cc" -x c - "$@" -o "$out" 2>/dev/null || status=1
	rm -f "$out"
	return "$status"
}

# tool NAME PACKAGE MODULE builds a command that tools/go.mod pins, keeps it
# in .cache/bin under its version, and prints its path. Building golangci-lint
# takes minutes, so it is done once per version.
tool() {
	local name=$1 pkg=$2 module=$3 version bin
	version=$(go list -C tools -m -f '{{.Version}}' "$module") || return 1
	bin=$root/.cache/bin/$name-$version-$(go env GOVERSION)
	if [ ! -x "$bin" ]; then
		say "building $name $version (once; this can take some minutes)"
		mkdir -p "$root/.cache/bin"
		go build -C tools -o "$bin.tmp" "$pkg" >&2 && mv "$bin.tmp" "$bin" || return 1
	fi
	printf '%s\n' "$bin"
}

golangci_lint() {
	tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint github.com/golangci/golangci-lint/v2
}

benchstat() {
	tool benchstat golang.org/x/perf/cmd/benchstat golang.org/x/perf
}
