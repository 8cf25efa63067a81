#!/usr/bin/env bash
# Finds or installs what the tests need beside Go: a C compiler, for the race
# detector, the C++ library, for DuckDB, and redis-server. It starts no server: the
# tests start their own, on free ports, and stop them. A Python with redis-py and
# pandas is installed where apt-get can; elsewhere the tests beside a Python program
# are skipped, unless STRATA_REQUIRE_PYTHON=1.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# as_root runs a command as root, without ever asking for a password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

apt_install() {
	command -v apt-get >/dev/null || return 1
	say "installing $* with apt-get"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null >&2 || return 1
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" </dev/null >&2
}

brew_install() {
	command -v brew >/dev/null || return 1
	say "installing $* with Homebrew"
	HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet "$@" </dev/null >&2
}

ensure_compiler() {
	have_cxx && return
	apt_install gcc g++ libc6-dev || true
	have_cxx && return
	die 'a C compiler is needed for the race detector, and the C++ library for DuckDB.
  Debian, Ubuntu:  sudo apt-get install g++
  Fedora:          sudo dnf install gcc-c++
  macOS:           xcode-select --install
Without them, "make test-short" runs the tests that need neither them nor Redis.'
}

# Valkey is a fork of Redis; the tests accept either, and what
# STRATA_REDIS_SERVER names before both.
have_redis() {
	hash -r
	command -v "${STRATA_REDIS_SERVER:-redis-server}" >/dev/null || command -v valkey-server >/dev/null
}

ensure_redis() {
	have_redis && return
	apt_install redis-server || brew_install redis || true
	have_redis && return
	die 'redis-server is needed: the tests start their own on a free port.
  Debian, Ubuntu:  sudo apt-get install redis-server
  Fedora:          sudo dnf install redis
  macOS:           brew install redis
  elsewhere:       https://redis.io/docs/latest/operate/oss_and_stack/install/
Then run this again. "make test-short" runs the tests that need no Redis.'
}

have_python() {
	local python candidates=(/usr/bin/python3 python3)
	hash -r
	[ -z "${STRATA_PYTHON:-}" ] || candidates=("$STRATA_PYTHON")
	for python in "${candidates[@]}"; do
		"$python" -c 'import redis, pandas' 2>/dev/null && return
	done
	return 1
}

ensure_python() {
	have_python && return
	apt_install python3-redis python3-pandas || true
	have_python && return
	[ "${STRATA_REQUIRE_PYTHON:-}" != 1 ] || die 'STRATA_REQUIRE_PYTHON=1, but there is no Python with redis and pandas.'
	say 'there is no Python with redis and pandas: the tests beside a Python program will be skipped.
  Debian, Ubuntu:  sudo apt-get install python3-redis python3-pandas
  elsewhere:       python3 -m venv DIR && DIR/bin/pip install redis pandas, then STRATA_PYTHON=DIR/bin/python3'
}

command -v go >/dev/null || die 'Go is needed: https://go.dev/doc/install'
ensure_compiler
ensure_redis
ensure_python
