#!/usr/bin/env bash
# Attacks what strata promises, for longer than the tests do. docs/reliability.md
# says what each part is. Usage:
#
#   torture.sh              all parts
#   torture.sh kill power   these parts
#
# SOAK is how long the soak lasts (10m), FUZZTIME how long each fuzz target runs
# (5m); with STRATA_TORTURE set to nothing, the tests are as short as those of make
# test. Each part leaves its output in .cache/torture/PART.log, and a line for
# each is printed at the end. Every part runs even if one before it failed.
# shellcheck disable=SC2317 # the parts are called by name, "part_$part"
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

all=(model histories kill power damage faults redis serve soak fuzz)
parts=("${all[@]}")
[ $# -eq 0 ] || parts=("$@")

export STRATA_TORTURE=${STRATA_TORTURE-1} STRATA_REQUIRE_REDIS=1
logs=.cache/torture
mkdir -p "$logs"

t() { go test -count=1 -timeout 3h -v "$@"; }

# Random operations over random shapes of chains and stores, reopened and
# crashed, against a model.
part_model() {
	t -race -run 'Model' ./chain ./store/memstore ./store/packstore ./store/diskstore
	# More examples of each property than 100, without the race detector: it keeps
	# some 200 KiB of each example.
	if [ -n "$STRATA_TORTURE" ]; then RAPID_CHECKS=10000 t -run 'Model$' ./chain ./store/memstore; fi
}

# Concurrent histories, judged by porcupine; and planted bugs, which must be found.
part_histories() {
	t -race -run 'Linear|Histories|Planted|NeverBackwards|NoMissOnTheWay|VisibleUnderContention' ./chain ./store/memstore ./store/storetest
}

# kill -9 of writing processes.
part_kill() {
	t -run 'TestKill$' ./store/diskstore
	t -run 'TestKilled' ./internal/integration
	t -run 'TestLeaseOfDeadProcess|TestProcess' ./internal/integration
}

# The power of the disk is cut: ext4 on a loop device. Needs root.
part_power() {
	t -run 'TestPowerLoss' ./internal/integration
	t -run 'TestPowerFailure' ./store/diskstore
	t -run 'TestCrashKeepsAcknowledged' ./internal/journal
}

# Bit flips, truncation, files that are gone, false footers, hostile Parquet.
part_damage() {
	t -run 'Mutations|Damage|Missing|Truncated|Bombs|FalseFooters|EveryDamage|Hostile|Planted' \
		./store/diskstore/... ./internal/journal ./internal/frame ./marshal ./marshal/parquet
}

# Full disks, failing syncs, read-only disks, no file descriptors, slow disks.
part_faults() {
	t -race -run 'Fault|Fail|Full|NoSpace|ReadOnly|Resources|Sync|Descriptors|Quota' \
		./store/diskstore/... ./internal/journal ./internal/vfs ./chain
}

# Redis in every state that it can be in, and connections that are cut, slow, or
# half open.
part_redis() {
	t -race ./store/redisstore ./notify/...
	t -race -run 'Outage|Lease|Process|Chain|Sentinel|Reshard|Cluster|FlushAll|Foreign' ./internal/integration
}

# The server beside redis-server, command by command, and hostile clients.
part_serve() { t ./internal/resp ./internal/serve ./cmd/strata; }

# A chain whose every limit is too small for what it is asked.
part_soak() { STRATA_SOAK=${SOAK:-10m} t -run 'TestSoak' ./internal/integration; }

part_fuzz() { FUZZTIME=${FUZZTIME:-5m} scripts/fuzz.sh; }

for part in "${parts[@]}"; do
	declare -F "part_$part" >/dev/null || die "there is no part $part; they are: ${all[*]}"
done

summary=() failed=0
for part in "${parts[@]}"; do
	start=$SECONDS
	say "torture: $part, output in $logs/$part.log"
	# In the background, since bash ignores set -e within a condition: the first
	# failure is to end the part.
	"part_$part" >"$logs/$part.log" 2>&1 &
	if wait $!; then outcome=ok; else outcome=FAILED failed=1; fi
	passed=$(grep -c -- '^ *--- PASS' "$logs/$part.log" || true)
	if grep -q 'no tests to run' "$logs/$part.log"; then outcome=EMPTY failed=1; fi # a pattern that matches nothing
	summary+=("$(printf '%-10s %-7s %5d s  %4d tests passed' "$part" "$outcome" $((SECONDS - start)) "$passed")")
done
printf '%s\n' "${summary[@]}"
exit "$failed"
