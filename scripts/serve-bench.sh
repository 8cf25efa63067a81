#!/usr/bin/env bash
# Compares "strata serve" with redis-server by redis-benchmark: GET and SET, 50
# clients, pipelines of 1 and 16, both servers in turns on this machine, medians of
# ROUNDS rounds; and the memory that a million small keys take. Prints a table in
# Markdown. STRATA names the binary (built if it is not given).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-5}
for tool in redis-server redis-benchmark redis-cli; do
	command -v "$tool" >/dev/null || die "$tool is not installed"
done
dir=$(mktemp -d)
pids=()
# shellcheck disable=SC2154
trap 'for p in ${pids[@]+"${pids[@]}"}; do kill "$p" 2>/dev/null || true; done; wait; rm -rf "$dir"' EXIT
if [ -z "${STRATA:-}" ]; then
	STRATA=$dir/strata
	CGO_ENABLED=0 go build -o "$STRATA" ./cmd/strata
fi
redis_port=${REDIS_PORT_BENCH:-16401}
strata_port=${STRATA_PORT_BENCH:-16402}

start() {
	redis-server --port "$redis_port" --save '' --appendonly no --dir "$dir" >"$dir/redis.log" &
	redis_pid=$!
	(cd "$dir" && exec env STRATA_MEMORY_CAPACITY=1GiB "$STRATA" serve --addr "127.0.0.1:$strata_port") 2>"$dir/strata.log" &
	strata_pid=$!
	pids=("$redis_pid" "$strata_pid")
	for port in "$redis_port" "$strata_port"; do
		for _ in $(seq 100); do
			redis-cli -p "$port" ping >/dev/null 2>&1 && break
			sleep 0.05
		done
		redis-cli -p "$port" ping >/dev/null || die "the server on port $port did not start: $(cat "$dir"/*.log)"
	done
}

stop() {
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null || true
	pids=()
}

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# once PORT COMMAND PIPELINE REQUESTS: requests a second
once() { redis-benchmark -p "$1" -t "$2" -c 50 -P "$3" -n "$4" -r 100000 -d 16 --csv 2>/dev/null | awk -F '","' 'END {gsub(/"/, "", $2); print $2}'; }

start
for _ in $(seq "$rounds"); do
	for pipeline in 1 16; do
		requests=$([ "$pipeline" = 1 ] && echo "${REQUESTS:-60000}" || echo $((${REQUESTS:-60000} * 10)))
		for command in set get; do
			for server in redis strata; do # in turns
				port=${server}_port
				once "${!port}" "$command" "$pipeline" "$requests" >>"$dir/$server-$command-$pipeline"
			done
		done
	done
done
stop

echo "| 50 clients | redis-server | strata serve | strata / redis | rounds |"
echo "| --- | --- | --- | --- | --- |"
for pipeline in 1 16; do
	for command in get set; do
		r=$(median <"$dir/redis-$command-$pipeline")
		s=$(median <"$dir/strata-$command-$pipeline")
		all=$(paste "$dir/strata-$command-$pipeline" "$dir/redis-$command-$pipeline" | awk '{printf "%s%.2f", (NR > 1 ? " " : ""), $1 / $2}')
		awk -v r="$r" -v s="$s" -v c="${command^^}" -v p="$pipeline" -v all="$all" \
			'BEGIN {printf "| %s, pipeline %s | %.0f/s | %.0f/s | **%.2f** | %s |\n", c, p, r, s, s / r, all}'
	done
done

# Memory of a million keys of 11 bytes with values of 8, above that of an empty server.
start
rss() { awk '/VmRSS/ {print $2 * 1024}' "/proc/$1/status"; }
memory() { # PORT PID
	local before
	before=$(rss "$2")
	awk 'BEGIN {for (i = 0; i < 1000000; i++) printf "SET key:%07d %08d\r\n", i, i}' | redis-cli -p "$1" --pipe >/dev/null
	[ "$(redis-cli -p "$1" dbsize)" = 1000000 ] || die "not all keys are on port $1"
	echo "$before $(rss "$2")"
}
if [ -e /proc/self/status ]; then
	read -r rb ra <<<"$(memory "$redis_port" "$redis_pid")"
	read -r sb sa <<<"$(memory "$strata_port" "$strata_pid")"
	awk -v rb="$rb" -v ra="$ra" -v sb="$sb" -v sa="$sa" 'BEGIN {m = 1048576
		printf "| 1 M keys of 11 bytes, values of 8 | %.0f MiB | %.0f MiB | **%.2f** | resident: %.0f and %.0f MiB, empty %.0f and %.0f |\n",
			(ra - rb) / m, (sa - sb) / m, (sa - sb) / (ra - rb), ra / m, sa / m, rb / m, sb / m}'
fi
