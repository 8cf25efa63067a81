package gocachestore

import (
	"errors"
	"fmt"

	"github.com/stratacache/strata/store"
)

// ErrValueType says that a value has a type that cannot be stored, or that is found but
// cannot be used.
var ErrValueType = errors.New("strata: unsupported value type")

// cacheKeyGenerator is the interface of the same name in gocache's cache
// package.
type cacheKeyGenerator interface{ GetCacheKey() string }

// keyOf returns key as a string. Types without a text of their own are refused:
// gocache's caches hash them as they print, which lets different structs collide
// and equal pointers differ.
func keyOf(key any) (k string, err error) {
	defer func() {
		if p := recover(); p != nil { // a nil pointer's String method
			k, err = "", fmt.Errorf("%w: the method of %T panics: %v", store.ErrInvalidKey, key, p)
		}
	}()
	switch v := key.(type) {
	case string:
		return v, nil
	case cacheKeyGenerator:
		return v.GetCacheKey(), nil
	case fmt.Stringer:
		return v.String(), nil
	}
	return "", fmt.Errorf("%w: %T is neither a string nor has a String or GetCacheKey method", store.ErrInvalidKey, key)
}
