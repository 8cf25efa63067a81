package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const install = "install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis), " +
	"or name the program in STRATA_REDIS_SERVER"

// Binary returns the path of the Redis server program. Without one it skips the
// test, or fails it where STRATA_REQUIRE_REDIS=1.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := lookup()
	if err == nil {
		return path
	}
	if os.Getenv("STRATA_REQUIRE_REDIS") == "1" {
		t.Fatalf("STRATA_REQUIRE_REDIS=1, but %v: %s", err, install)
	}
	t.Skipf("skipped, for it needs a Redis server: %v: %s", err, install)
	return ""
}

func lookup() (string, error) {
	if name := os.Getenv("STRATA_REDIS_SERVER"); name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("STRATA_REDIS_SERVER=%q does not run: %w", name, err)
		}
		return path, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("neither redis-server nor valkey-server is in PATH")
}
