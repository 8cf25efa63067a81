// Command strata looks into caches, and checks what governs them.
//
//	strata serve                    put the tiers behind the Redis protocol
//	strata policy check FILE        is the policy valid, and what does it say
//	strata policy test KEY...       which rule a key has, and why
//	strata config init [FILE]       write a configuration with everything explained
//	strata config show              the settings in force, and where each came from
//	strata config schema            a JSON Schema of strata.yaml, for editors
//	strata get KEY                  print a value
//	strata set KEY VALUE            store a value
//	strata del KEY...               remove values
//	strata scan [PREFIX]            list keys
//	strata ttl KEY                  how long a value still lives
//	strata top --addr ADDR          watch what a server does
//	strata explain KEY              where a key lies, and why
//	strata tags                     the tags that values carry
//	strata tags keys TAG            the keys that carry one
//	strata tags invalidate TAG...   make all that carries one absent
//	strata stats [--watch]          what the tiers hold
//	strata disk ls                  the files of a directory
//	strata disk verify              check every checksum
//	strata disk repair              make good what can be
//	strata disk compact             drop what is expired or replaced
//	strata disk snapshot TARGET     copy a store that is in use
//	strata disk export TARGET       write the entries as Parquet, CSV or lines of JSON
//	strata disk import SOURCE       read such entries
//	strata bench                    measure the configured tiers, or a server
//	strata demo                     see what a cache saves, on real prices
//	strata doctor                   check that a configuration can work on this machine
//	strata completion SHELL         a script by which a shell completes all this
//	strata version
//
// The tiers are those of a strata.yaml (--config, $STRATA_CONFIG, or the one in
// the working directory) and of the environment; --dir names the directory of a
// disk tier. Commands that only read open it beside a running program. With --addr,
// get, set, del, scan, ttl, explain, tags and stats ask a running server instead.
//
// Output is for people, and JSON with --json. Errors go to standard error, one
// line each. The exit code is 0, or 1 where something failed, 2 where the
// command line or the configuration is wrong, 3 where there is no such key or
// rule.
package main
