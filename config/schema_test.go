package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratacache/strata/policy"
)

// node is a part of a schema.
type node struct {
	Properties map[string]*node `json:"properties"`
	Additional any              `json:"additionalProperties"`
	Items      *node            `json:"items"`
}

func parseSchema(t *testing.T) *node {
	t.Helper()
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(b, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// TestSchemaHasEverySetting: the schema has what the parsers know, and no more.
func TestSchemaHasEverySetting(t *testing.T) {
	root := parseSchema(t)
	count := 0
	for _, s := range Settings() {
		at := root
		for _, name := range strings.Split(s.Path, ".") {
			if at = at.Properties[name]; at == nil {
				t.Fatalf("the schema lacks %s", s.Path)
			}
		}
		count++
	}
	leaves := 0
	var walk func(n *node)
	walk = func(n *node) {
		for _, p := range n.Properties {
			if p.Properties == nil {
				leaves++
			}
			walk(p)
		}
	}
	for _, section := range []string{"tiers", "chain", "server"} {
		walk(root.Properties[section])
	}
	if leaves != count {
		t.Errorf("the schema has %d settings, the parser %d", leaves, count)
	}
	if got := schemaFields(); !slices.Equal(got, policy.Fields()) {
		t.Errorf("fields of a rule:\nschema %v\nparser %v", got, policy.Fields())
	}
	for _, section := range append([]string{"classes", "rules"}, sections...) {
		if root.Properties[section] == nil {
			t.Errorf("the schema lacks the section %s", section)
		}
	}
	if len(root.Properties) != len(sections)+2 {
		t.Errorf("the schema has %d sections", len(root.Properties))
	}
}

// TestSchemaTakesTheSample: every field of the file that we write is in it.
func TestSchemaTakesTheSample(t *testing.T) {
	root := parseSchema(t)
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(string(Sample()), "# ", "")), &doc); err == nil {
		for section := range doc {
			if root.Properties[section] == nil {
				t.Errorf("section %s is not in the schema", section)
			}
		}
	}
}
