package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stratacache/strata/internal/redistest"
)

func TestDoctor(t *testing.T) {
	s := newShell(t)
	states := func(wantCode int) map[string]finding {
		t.Helper()
		code, out, errs := s.input("", "doctor", "--json", "--timeout", "5s")
		if code != wantCode {
			t.Fatalf("code %d: %s", code, errs)
		}
		m := map[string]finding{}
		for _, f := range decode[[]finding](t, out) {
			m[f.Check] = f
		}
		return m
	}
	if m := states(exitOK); m["redis"].State != stateOK || m["configuration"].State != stateOK || m["open files"].State == "" {
		t.Errorf("without anything: %v", m)
	}
	s.env["REDIS_URL"] = "redis://" + redistest.Start(t).Addr
	s.env["STRATA_DISK_DIR"] = "some/new/data"
	s.env["STRATA_SERVER_ADDR"] = ":6379"
	m := states(exitOK)
	if m["redis"].State != stateOK || m["clock"].State != stateOK || m["disk"].State != stateOK || m["server"].State != stateWarning {
		t.Errorf("with a server: %v", m)
	}
	if _, err := os.Stat("some"); err == nil {
		t.Error("the check made the directory")
	}
	s.env["REDIS_URL"] = "redis://127.0.0.1:1"
	s.write("file", "x")
	s.env["STRATA_DISK_DIR"] = "file"
	m = states(exitFailed)
	if m["redis"].State != stateWrong || m["disk"].State != stateWrong {
		t.Errorf("with nothing right: %v", m)
	}
	if _, out, _ := s.input("", "doctor"); !strings.Contains(out, "wrong") {
		t.Errorf("the table: %s", out)
	}
}
