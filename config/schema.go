package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Schema returns a JSON Schema (draft 2020-12) of strata.yaml, by which editors
// complete and check it.
func Schema() ([]byte, error) {
	root := object("Settings, classes and rules of strata")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "strata.yaml"
	for _, s := range Settings() {
		at := root
		names := strings.Split(s.Path, ".")
		for _, name := range names[:len(names)-1] {
			props := at["properties"].(map[string]any)
			if props[name] == nil {
				props[name] = object("")
			}
			at = props[name].(map[string]any)
		}
		at["properties"].(map[string]any)[names[len(names)-1]] = s.schema()
	}
	props := root["properties"].(map[string]any)
	props[keyringSection] = map[string]any{
		"type": "object", "description": "keys that rules encrypt with", "additionalProperties": map[string]any{
			"type": "object", "additionalProperties": false, "required": []string{"primary", "keys"},
			"properties": map[string]any{
				"primary": map[string]any{"type": "string", "description": "the key that encrypts"},
				"keys":    map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string", "pattern": "^(env|file):"}},
			},
		},
	}
	rule, class := object("a kind of key"), object("settings that rules share")
	rule["required"] = []string{"keys"}
	for name, field := range ruleFields() {
		rule["properties"].(map[string]any)[name] = field
		if name != "keys" && name != "name" && name != "class" {
			class["properties"].(map[string]any)[name] = field
		}
	}
	props["classes"] = map[string]any{"type": "object", "description": "settings that several rules share", "additionalProperties": class}
	props["rules"] = map[string]any{"type": "array", "description": "one rule for each kind of key", "items": rule}
	return json.MarshalIndent(root, "", "  ")
}

func object(doc string) map[string]any {
	o := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": map[string]any{}}
	if doc != "" {
		o["description"] = doc
	}
	return o
}

// schema describes a setting. Scalars are read as text whatever their type is in
// YAML, so that only those with a few values are held to them.
func (s Setting) schema() map[string]any {
	o := map[string]any{"description": s.Doc, "type": []string{"string", "number", "boolean"}}
	switch s.Default {
	case "true", "false":
		o["type"], o["default"] = "boolean", s.Default == "true"
	case "":
	default:
		o["default"] = s.Default
	}
	return o
}

// ruleFields describes the fields of a rule.
func ruleFields() map[string]map[string]any {
	text := func(doc string) map[string]any { return map[string]any{"type": "string", "description": doc} }
	duration := func(doc string) map[string]any {
		return map[string]any{"type": []string{"string", "integer"}, "description": doc, "examples": []string{"250ms", "5m", "7d"}}
	}
	fraction := func(doc string) map[string]any {
		return map[string]any{"type": "number", "minimum": 0, "description": doc}
	}
	list := func(doc string) map[string]any {
		return map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "description": doc}
	}
	oneOf := func(doc string, words ...string) map[string]any {
		return map[string]any{"enum": words, "description": doc}
	}
	return map[string]map[string]any{
		"keys":                   text("pattern, such as price:{symbol}"),
		"name":                   text("name in statistics and of tables"),
		"class":                  text("class whose settings the rule begins with: hot, warm, cold or one of classes"),
		"codec":                  text("encoding of values"),
		"compress":               {"type": []string{"string", "boolean", "null"}, "description": "zstd or s2"},
		"encrypt":                {"type": []string{"string", "boolean", "null"}, "description": "name of a key ring"},
		"ttl":                    duration("time to live, or never"),
		"stale_while_revalidate": duration("how long a stale value is served while a new one is loaded"),
		"stale_if_error":         duration("how long a stale value is served if a load fails"),
		"negative_ttl":           duration("how long not found is remembered"),
		"soft_timeout":           duration("after which a load gives way to a stale value"),
		"hard_timeout":           duration("after which a load is given up"),
		"lease":                  duration("how long one process may take to load a key for all"),
		"jitter":                 fraction("part of the ttl that is taken away at random"),
		"refresh_ahead":          fraction("part of the ttl after which a hit refreshes"),
		"early":                  fraction("strength of probabilistic early refresh"),
		"tiers":                  list("tiers that hold the keys: memory, redis, disk"),
		"tier_ttl":               {"type": "object", "description": "bounds of the ttl by tier", "additionalProperties": duration("")},
		"tags":                   list("tags that values are invalidated by"),
		"durable":                {"type": "boolean", "description": "written to the journal before a write returns"},
		"serve_stale":            {"type": []string{"string", "boolean"}, "description": "never: no stale value is served"},
		"write":                  oneOf("how tiers are written", "through", "back", "around"),
		"wire":                   oneOf("form of values in Redis", "plain", "framed"),
	}
}

// schemaFields returns the names that Schema knows of a rule, for tests.
func schemaFields() []string { return slices.Sorted(maps.Keys(ruleFields())) }
