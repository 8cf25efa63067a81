// Package config turns a strata.yaml and the environment into a chain: stores,
// policy and all. It links every backend; a program that wants only some of
// them composes its chain by hand.
//
// # The file
//
//	tiers:
//	  memory: {capacity: 256MiB}
//	  redis:  {url: "redis://localhost:6379/0", prefix: "bot:"}
//	  disk:   {dir: /var/lib/strata, capacity: 10GiB}
//	chain:
//	  default_ttl: 5m
//	keyrings:         # for rules with encrypt: main
//	  main:
//	    primary: "2026-11"
//	    keys: {"2026-11": "env:STRATA_KEY_2026_11"}   # or file:PATH; 32 bytes in base64
//	classes: {...}    # see package policy
//	rules: [...]
//
// The tiers are always in this order. Memory is there unless it is switched off;
// Redis is there where a server is named, the disk where a directory is. Rules
// may name tiers that are not there: the rest of the rule holds. [Settings]
// lists every setting with its default; "strata config init" writes a file with
// all of them explained.
//
// # The environment
//
// Every setting has a variable: STRATA_, then its path in capitals without
// "tiers", joined by "_": STRATA_MEMORY_CAPACITY, STRATA_REDIS_URL,
// STRATA_CHAIN_DEFAULT_TTL. REDIS_URL, REDIS_HOST, REDIS_PORT, REDIS_DB,
// REDIS_USERNAME and REDIS_PASSWORD are read too. STRATA_ beats REDIS_, which
// beats the file. An empty variable is as good as none.
//
// # Errors and secrets
//
// Unknown fields, bad values and impossible combinations are refused, all in
// one [*Error], each with its line or variable. URLs and passwords are of type
// [Secret], which prints as "***"; no error repeats one.
package config
