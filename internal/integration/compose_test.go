package integration

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratacache/strata/internal/redistest"
)

type composed struct {
	Services map[string]struct {
		Image    string
		Profiles []string
		Command  []string
		Ports    []string
		Volumes  []string
		Restart  string
	}
	Volumes map[string]any
}

// withDefaults gives ${NAME:-default} its default.
func withDefaults(s string) string {
	return regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(s, "$1")
}

// docker-compose.yaml starts a Redis 7 that keeps its data in a volume, and a
// Valkey only where it is asked for; a server takes the settings.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../docker-compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composed
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string]string{"redis": "redis:7", "valkey": "valkey/valkey:8"} {
		s, ok := c.Services[name]
		if !ok {
			t.Errorf("there is no service %s", name)
			continue
		}
		if s.Image != image {
			t.Errorf("%s: image %s, want %s", name, s.Image, image)
		}
		if isProfile := slices.Equal(s.Profiles, []string{name}); isProfile != (name == "valkey") {
			t.Errorf("%s: profiles %v", name, s.Profiles)
		}
		volume, at, _ := strings.Cut(strings.Join(s.Volumes, ","), ":")
		if _, declared := c.Volumes[volume]; !declared || at != "/data" {
			t.Errorf("%s: volumes %v; want a declared one at /data", name, s.Volumes)
		}
		if len(s.Ports) != 1 || withDefaults(s.Ports[0]) != "127.0.0.1:6379:6379" {
			t.Errorf("%s: ports %v; want this machine's only", name, s.Ports)
		}
		if len(s.Command) == 0 || s.Command[0] != name+"-server" {
			t.Fatalf("%s: command %v", name, s.Command)
		}
		var args []string
		for _, arg := range s.Command[1:] {
			args = append(args, withDefaults(arg))
		}
		srv := redistest.Start(t, args...)
		for setting, want := range map[string]string{
			"appendonly": "yes", "maxmemory": "536870912", "maxmemory-policy": "allkeys-lru", "requirepass": "",
		} {
			if got := fmt.Sprint(srv.Do(t, "CONFIG", "GET", setting)); !strings.Contains(got, setting+":"+want) {
				t.Errorf("%s: %s; want %s %q", name, got, setting, want)
			}
		}
	}
}
