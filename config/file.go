package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sections are the top-level fields that are not the policy's.
var sections = []string{"tiers", "chain", "server", keyringSection}

// Sections returns the top-level fields of a configuration that are not the policy's,
// for policy.ParseWithin.
func Sections() []string { return slices.Clone(sections) }

// scalar is a value in the file.
type scalar struct {
	text string
	line int
}

// readYAML gathers the settings in data. What is wrong with the YAML as such,
// or with other sections, the policy's parser reports.
func (l *loader) readYAML(data []byte) {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return
	}
	known := make(map[string]bool)
	for _, s := range Settings() {
		for p := s.Path; p != ""; p = parent(p) {
			known[p] = p == s.Path || known[p]
		}
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch name := root.Content[i].Value; {
		case name == keyringSection:
			l.readKeyrings(root.Content[i+1])
		case slices.Contains(sections, name):
			l.walk(name, root.Content[i+1], known)
		}
	}
}

func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

// walk gathers the settings below path. known has true for settings and false
// for the groups above them.
func (l *loader) walk(path string, n *yaml.Node, known map[string]bool) {
	n = deref(n)
	setting, ok := known[path]
	switch {
	case !ok:
		l.bad(n.Line, path, "unknown field; known are %s", strings.Join(children(parent(path), known), ", "))
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null" && !setting:
	case setting && (n.Kind != yaml.ScalarNode || n.Tag == "!!null"):
		l.bad(n.Line, path, "%v", errNoValue)
	case setting:
		if first, dup := l.file[path]; dup {
			l.bad(n.Line, path, "is set a second time (first at line %d)", first.line)
			return
		}
		l.file[path] = scalar{n.Value, n.Line}
	case n.Kind != yaml.MappingNode:
		l.bad(n.Line, path, "must be a mapping of %s", strings.Join(children(path, known), ", "))
	default:
		for i := 0; i+1 < len(n.Content); i += 2 {
			l.walk(path+"."+strings.ReplaceAll(n.Content[i].Value, "-", "_"), n.Content[i+1], known)
		}
	}
}

// children returns the names directly below path.
func children(path string, known map[string]bool) []string {
	var names []string
	for p := range known {
		if parent(p) == path && p != path {
			names = append(names, p[len(path)+1:])
		}
	}
	slices.Sort(names)
	return names
}
