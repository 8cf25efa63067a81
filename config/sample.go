package config

import (
	"fmt"
	"strings"
)

// Sample returns a strata.yaml with every setting explained and commented out,
// so that it means the same as no file, and an example of classes and rules.
func Sample() []byte {
	var b strings.Builder
	b.WriteString(`# Settings of strata. What is commented out shows the default. Every setting can
# also be set in the environment, which wins: STRATA_MEMORY_CAPACITY=1GiB.
`)
	group := ""
	for _, s := range Settings() {
		g := parent(s.Path)
		if g != group {
			sampleGroup(&b, group, g)
			group = g
		}
		indent := strings.Repeat("  ", strings.Count(s.Path, "."))
		line := fmt.Sprintf("%s# %s: %s", indent, s.Path[len(g)+1:], s.Default)
		fmt.Fprintf(&b, "%-38s # %s\n", strings.TrimRight(line, " "), s.Doc)
	}
	b.WriteString(sampleRules)
	return []byte(b.String())
}

// sampleGroup writes the headings between two groups of settings.
func sampleGroup(b *strings.Builder, from, to string) {
	top, sub, nested := strings.Cut(to, ".")
	if before, _, _ := strings.Cut(from, "."); before != top {
		fmt.Fprintf(b, "\n%s:\n", top)
	}
	if nested {
		fmt.Fprintf(b, "  %s:\n", sub)
	}
}

const sampleRules = `
# Keys for rules with "encrypt: main": 32 bytes in base64, in a variable (env:) or
# a file (file:). The primary key encrypts, all decrypt.
keyrings:
  # main:
  #   primary: "2026-11"
  #   keys: {"2026-11": "env:STRATA_KEY_2026_11"}

# Settings that several rules share. hot (5m), warm (4h) and cold (24h) exist.
classes:
  # hot: {ttl: 2m, jitter: 0.1}

# One rule for each kind of key. "strata policy test KEY" shows which one a key
# has, and "strata policy check" whether all is well.
rules:
  # - keys: price:{symbol}
  #   class: hot
  #   wire: plain            # so that other programs read the bare number
  #   serve_stale: never
  # - keys: hist:{symbol}:{interval}
  #   class: cold
  #   stale_if_error: 7d
`
