// Package redistest starts real Redis servers for tests.
//
// [Start] gives a test a server of its own on a free loopback port, [Shared]
// one server for all tests of a package. The program is looked up through the
// environment variable STRATA_REDIS_SERVER, then as redis-server and
// valkey-server in PATH. Where there is none the test is skipped with a message
// that says how to install it; with STRATA_REQUIRE_REDIS=1 it fails instead, so
// that a build server cannot skip it unnoticed.
//
// A server keeps its files in the test's temporary directory, persists nothing
// unless asked to, and is killed when the test ends. On Linux the kernel kills
// it too when the test process dies.
package redistest
