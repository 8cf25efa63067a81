package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds what Parse reads: some 4,000 rules with room for comments.
const maxYAML = 4 << 20

// Parse compiles the classes and rules of a YAML document; see the package
// documentation for the form. An empty document gives a set without rules. The
// error is an *Error that lists every problem with its line.
func Parse(data []byte) (*Set, error) { return ParseWithin(data) }

// MustParse is like Parse but panics where the document is wrong. It is for rules
// that are written in the program.
func MustParse(document string) *Set {
	s, err := Parse([]byte(document))
	if err != nil {
		panic(err)
	}
	return s
}

// ParseWithin is Parse for a document that has other sections too, such as a
// program's whole configuration: the named top-level fields are left alone.
func ParseWithin(data []byte, others ...string) (*Set, error) {
	p := &parser{classes: map[string]class{
		Hot: {ttl: classTTL(Hot)}, Warm: {ttl: classTTL(Warm)}, Cold: {ttl: classTTL(Cold)},
	}}
	root, err := decode(data)
	if err != nil {
		p.b.problems = append(p.b.problems, *err)
		return nil, p.b.err()
	}
	if root != nil {
		p.document(root, others)
	}
	return p.b.build()
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// decode parses data into its root node, which is nil for an empty document.
func decode(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxYAML {
		return nil, &Problem{Msg: fmt.Sprintf("the file is larger than %d MiB", maxYAML>>20)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, yamlProblem(err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlProblem(err)
		}
		return nil, &Problem{Line: second.Line, Msg: "a second document begins here: only one is read"}
	}
	root := deref(doc.Content[0])
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

func yamlProblem(err error) *Problem {
	msg, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	return &Problem{Line: line, Msg: "not valid YAML: " + strings.TrimPrefix(msg, "yaml: ")}
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// class is the settings that the rules of a class begin with.
type class struct {
	ttl    time.Duration
	line   int
	fields []field
}

// field is one setting as it was written.
type field struct {
	name  string
	line  int
	value *yaml.Node
}

type parser struct {
	b       builder
	classes map[string]class
}

func (p *parser) bad(line int, rule, field, format string, args ...any) {
	p.b.problems = append(p.b.problems, Problem{Line: line, Rule: rule, Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) document(root *yaml.Node, others []string) {
	fields, ok := p.mapping(root, "")
	if !ok {
		return
	}
	var rules *yaml.Node
	for _, f := range fields {
		switch {
		case f.name == "classes":
			p.readClasses(f.value)
		case f.name == "rules":
			rules = f.value
		case !slices.Contains(others, f.name):
			known := append([]string{"classes", "rules"}, others...)
			p.bad(f.line, "", f.name, "unknown field; known are %s", strings.Join(known, ", "))
		}
	}
	if rules != nil { // classes may come after the rules that use them
		p.readRules(rules)
	}
	p.checkUnused()
}

// mapping returns the fields of a mapping node in order, names with "_".
func (p *parser) mapping(n *yaml.Node, owner string) ([]field, bool) {
	if isNull(n) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		p.bad(n.Line, owner, "", "must be a mapping (name: value), not %s", kindName(n))
		return nil, false
	}
	seen := make(map[string]int, len(n.Content)/2)
	fields := make([]field, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := deref(n.Content[i])
		if k.Kind != yaml.ScalarNode {
			p.bad(n.Content[i].Line, owner, "", "a field's name must be a plain word, not %s", kindName(k))
			continue
		}
		f := field{name: strings.ReplaceAll(k.Value, "-", "_"), line: n.Content[i].Line, value: deref(n.Content[i+1])}
		if first, dup := seen[f.name]; dup {
			p.bad(f.line, owner, k.Value, "is set a second time (first at line %d)", first)
			continue
		}
		seen[f.name] = f.line
		fields = append(fields, f)
	}
	return fields, true
}

func (p *parser) readClasses(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		p.bad(n.Line, "", "classes", "must be a mapping of names to settings, not %s", kindName(n))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, line := deref(n.Content[i]).Value, n.Content[i].Line
		if !validName(name) {
			p.bad(line, "", "classes", "%q is not a class name", name)
			continue
		}
		owner := "class " + name
		if first, dup := seen[name]; dup {
			p.bad(line, owner, "", "is defined a second time (first at line %d)", first)
			continue
		}
		seen[name] = line
		p.classes[name] = p.readClass(name, owner, line, deref(n.Content[i+1]))
	}
}

func (p *parser) readClass(name, owner string, line int, n *yaml.Node) class {
	c := class{ttl: classTTL(name), line: line}
	fields, _ := p.mapping(n, owner)
	var scratch Rule
	for _, f := range fields {
		set := setters[f.name]
		switch {
		case set == nil:
			p.bad(f.line, owner, f.name, "%s", unknownField(f.name))
		case perRule(f.name):
			p.bad(f.line, owner, f.name, "belongs to a rule, not to a class")
		default:
			if err := set(&scratch, f.value); err != nil {
				p.bad(f.value.Line, owner, f.name, "%v", err)
				continue
			}
			c.fields = append(c.fields, f)
		}
	}
	return c
}

// perRule reports whether a field says what a rule is, not how it behaves.
func perRule(name string) bool {
	return name == "keys" || name == "name" || name == "class" || name == "tags"
}

func (p *parser) readRules(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.bad(n.Line, "", "rules", "must be a list, not %s", kindName(n))
		return
	}
	if len(n.Content) > maxRules {
		p.bad(n.Line, "", "rules", "%d rules are more than the limit of %d", len(n.Content), maxRules)
		return
	}
	for i, item := range n.Content {
		p.readRule(i, item.Line, deref(item))
	}
}

func (p *parser) readRule(i, line int, n *yaml.Node) {
	owner := fmt.Sprintf("rule %d", i+1)
	fields, ok := p.mapping(n, owner)
	if !ok {
		return
	}
	r := &Rule{line: line}
	lines := make(map[string]int)
	for _, f := range fields { // first what the others need
		switch f.name {
		case "keys":
			if f.value.Kind == yaml.ScalarNode {
				owner = f.value.Value
			}
		case "class":
			r.Class = f.value.Value
		}
	}
	p.applyClass(r, owner, line, fields, lines)
	broken := false
	for _, f := range fields {
		lines[f.name] = f.line
		set := setters[f.name]
		if set == nil {
			p.bad(f.line, owner, f.name, "%s", unknownField(f.name))
			continue
		}
		if err := set(r, f.value); err != nil {
			p.bad(f.value.Line, owner, f.name, "%v", err)
			broken = true
		}
	}
	if !broken { // a value that could not be read would only add echoes
		p.b.add(r, lines)
	}
}

func (p *parser) applyClass(r *Rule, owner string, line int, fields []field, lines map[string]int) {
	if r.Class == "" {
		return
	}
	c, ok := p.classes[r.Class]
	if !ok {
		for _, f := range fields {
			if f.name == "class" {
				line = f.line
			}
		}
		p.bad(line, owner, "class", "%q is not defined; known are %s", r.Class, strings.Join(p.classNames(), ", "))
		r.TTL = Never // do not complain of a missing ttl as well
		return
	}
	r.TTL = c.ttl
	for _, f := range c.fields {
		lines[f.name] = f.line
		_ = setters[f.name](r, f.value) // it was read once without an error
	}
}

// checkUnused checks the classes that no rule has: those of the others are
// checked as a part of their rules.
func (p *parser) checkUnused() {
	used := make(map[string]bool)
	for _, r := range p.b.rules {
		used[r.Class] = true
	}
	for _, name := range p.classNames() {
		c := p.classes[name]
		if used[name] || len(c.fields) == 0 {
			continue
		}
		r := &Rule{Keys: &Pattern{}, Class: name, TTL: c.ttl, Wire: WireFramed}
		lines := make(map[string]int)
		for _, f := range c.fields {
			lines[f.name] = f.line
			_ = setters[f.name](r, f.value) // it was read once without an error
		}
		r.check(func(field, format string, args ...any) {
			if field == "ttl" && r.TTL == 0 {
				return // its rules bring their own
			}
			p.bad(max(lines[field], c.line), "class "+name, field, format, args...)
		})
	}
}

func (p *parser) classNames() []string {
	names := make([]string, 0, len(p.classes))
	for n := range p.classes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return strconv.Quote(n.Value)
	}
	return "this"
}
