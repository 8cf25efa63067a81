package mapstore_test

import (
	"testing"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return mapstore.New() }, &storetest.Options{Rounds: 300})
}
