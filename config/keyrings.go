package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratacache/strata/marshal"
)

// keyringSection is the top-level field of the key rings.
const keyringSection = "keyrings"

// readKeyrings reads
//
//	keyrings:
//	  main:
//	    primary: "2026-11"
//	    keys: {"2026-11": "env:STRATA_KEY_2026_11", "2026-05": "file:/run/secrets/old"}
//
// A key is 32 bytes in base64, in a variable or a file: the configuration itself
// holds no secrets, so that it can be kept where code is.
func (l *loader) readKeyrings(n *yaml.Node) {
	l.rings = make(map[string]*marshal.Keyring)
	l.pairs(keyringSection, n, func(name string, ring *yaml.Node) {
		path := keyringSection + "." + name
		primary, keys, before := "", make(map[string][]byte), len(l.problems)
		l.pairs(path, ring, func(field string, v *yaml.Node) {
			switch {
			case field == "primary" && v.Kind == yaml.ScalarNode:
				primary = v.Value
			case field == "keys":
				l.pairs(path+".keys", v, func(id string, source *yaml.Node) {
					key, err := l.key(source)
					if err != nil {
						l.bad(source.Line, path+".keys."+id, "%v", err)
						return
					}
					keys[id] = key
				})
			default:
				l.bad(v.Line, path+"."+field, "unknown field; known are primary, keys")
			}
		})
		if len(l.problems) > before {
			return
		}
		r, err := marshal.NewKeyring(primary, keys)
		if err != nil {
			l.bad(ring.Line, path, "%s", strings.TrimPrefix(err.Error(), "marshal: "))
			return
		}
		l.rings[name] = r
	})
}

// pairs calls f for each field of a mapping.
func (l *loader) pairs(path string, n *yaml.Node, f func(name string, v *yaml.Node)) {
	n = deref(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.bad(n.Line, path, "must be a mapping")
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if seen[name] {
			l.bad(n.Content[i].Line, path+"."+name, "is set a second time")
			continue
		}
		seen[name] = true
		f(name, deref(n.Content[i+1]))
	}
}

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// maxKeyFile bounds what is read of a file that should hold 44 characters.
const maxKeyFile = 4096

// key reads a key from where the node says. No error repeats any of it.
func (l *loader) key(n *yaml.Node) ([]byte, error) {
	source := n.Value
	var text string
	if name, ok := strings.CutPrefix(source, "env:"); ok {
		if text, ok = l.env(name); !ok || text == "" {
			return nil, fmt.Errorf("the variable %s is not set", name)
		}
	} else if path, ok := strings.CutPrefix(source, "file:"); ok {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxKeyFile {
			return nil, fmt.Errorf("%s is too large to be a key", path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text = string(b)
	} else {
		return nil, errors.New("must be env:VARIABLE or file:PATH, where the key is")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%s does not hold base64", source)
	}
	return key, nil
}
