package main

import "sync"

// faults keeps the first error that a tier had behind a command's back.
type faults struct {
	mu    sync.Mutex
	first error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		f.first = err
	}
}

func (f *faults) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}
