package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/observe/prom"
)

// metricName finds the metrics in an expression; a histogram has three.
var metricName = regexp.MustCompile(`strata_[a-z_]+`)

// exported returns the names of all metrics that a server exports.
func exported() map[string]bool {
	names := map[string]bool{}
	for _, m := range prom.Metrics() {
		names[m.Name] = true
		if strings.HasSuffix(m.Name, "_seconds") {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				names[m.Name+part] = true
			}
		}
	}
	for _, m := range serverMetricList() {
		name := metricName.FindString(m.desc.String())
		names[name] = true
	}
	return names
}

func checkExpr(t *testing.T, where, expr string, known map[string]bool) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		if !known[name] {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		t.Errorf("%s: unbalanced: %s", where, expr)
	}
}

// TestAlerts: every alert is about a metric that exists, and is explained.
func TestAlerts(t *testing.T) {
	b, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	known := exported()
	for _, r := range file.Groups[0].Rules {
		checkExpr(t, r.Alert, r.Expr, known)
		if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s has no severity or summary", r.Alert)
		}
		if !strings.Contains(string(page), "`"+r.Alert+"`") {
			t.Errorf("docs/operations.md does not explain %s", r.Alert)
		}
	}
	if len(file.Groups[0].Rules) < 8 {
		t.Errorf("there are %d alerts", len(file.Groups[0].Rules))
	}
}

// TestDashboard: every panel shows metrics that exist.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("../../deploy/grafana/strata.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Query string } }
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	known, byRule := exported(), false
	for _, p := range d.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			checkExpr(t, p.Title, target.Expr, known)
			byRule = byRule || strings.Contains(target.Expr, "sum by (rule) (rate(strata_rule_hits_total")
		}
	}
	if !byRule {
		t.Error("no panel shows the hits of each rule")
	}
	for _, v := range d.Templating.List {
		checkExpr(t, "a variable", v.Query, known)
	}
}

// TestDeployedSettings: the variables that the unit and the image set exist.
func TestDeployedSettings(t *testing.T) {
	known := map[string]bool{"STRATA_CONFIG": true}
	for _, s := range config.Settings() {
		for _, name := range s.Env {
			known[name] = true
		}
	}
	for _, name := range []string{"Dockerfile", "deploy/systemd/strata.service", "docs/operations.md"} {
		b, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range regexp.MustCompile(`STRATA_[A-Z_]+`).FindAllString(string(b), -1) {
			if !known[v] {
				t.Errorf("%s sets %s, which there is not", name, v)
			}
		}
	}
}
