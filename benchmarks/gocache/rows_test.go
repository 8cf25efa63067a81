package gocache

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// verdict is whether a library has a property, and what was seen.
type verdict struct {
	holds  bool
	detail string
}

func holds(ok bool, format string, args ...any) verdict {
	return verdict{ok, fmt.Sprintf(format, args...)}
}

// row is a property and how it is tried.
type row struct {
	name    string
	strata  func(t *testing.T) verdict
	gocache func(t *testing.T) verdict
}

// TestRows tries every property on both. Only strata has to have it.
func TestRows(t *testing.T) {
	rows := []row{
		{"a TTL of 400 ms in Redis stays that after promotion", strataShortTTL, gocacheShortTTL},
		{"no expiry in Redis stays that after promotion", strataNoExpiry, gocacheNoExpiry},
		{"a read answered after a delete brings nothing back", strataGetDelete, gocacheGetDelete},
		{"a read answered after a write brings nothing older back", strataGetSet, gocacheGetSet},
		{"200 readers of a key in the second tier: one read of it, one fill", strataSharedRead, gocacheSharedRead},
		{"a first tier that hangs does not keep the second's answer", strataStuckTier, gocacheStuckTier},
		{"a dead tier is an error of the call, not a miss", strataDeadTier, gocacheDeadTier},
		{"1,000 readers of an absent key: one load", strataHerd, gocacheHerd},
		{"the first reader leaves: the others get the value", strataCancelled, gocacheCancelled},
		{"a panicking loader is an error for its callers", strataPanic, gocachePanic},
		{"a value of another type is never a zero and no error", strataOtherType, gocacheOtherType},
		{"100 tagged keys, one invalidation: none survives", strataTags, gocacheTags},
		{"100 chains opened and closed leave no goroutine", strataLeak, gocacheLeak},
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| property | strata | gocache lib %s |\n| --- | --- | --- |\n", version(t, "github.com/eko/gocache/lib/v4"))
	for _, r := range rows {
		fmt.Fprintf(&table, "| %s ", r.name)
		t.Run(r.name, func(t *testing.T) {
			t.Run("strata", func(t *testing.T) {
				v := r.strata(t)
				if !v.holds {
					t.Error(v.detail)
				}
				table.WriteString(v.cell())
			})
			t.Run("gocache", func(t *testing.T) { table.WriteString(r.gocache(t).cell()) })
		})
		table.WriteString("|\n")
	}
	t.Logf("\n%s", table.String())
}

func (v verdict) cell() string {
	mark := "no"
	if v.holds {
		mark = "yes"
	}
	return fmt.Sprintf("| %s: %s ", mark, v.detail)
}

// version returns the version of a module that this module uses.
func version(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
