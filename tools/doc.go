// Package tools pins the development tools of the project, golangci-lint and
// benchstat, in a module of their own, so that their dependencies never reach a
// program that imports strata. Run one with
//
//	go tool -modfile=tools/go.mod benchstat old.txt new.txt
//
// or through the Makefile, which keeps the binaries in .cache/bin.
package tools
