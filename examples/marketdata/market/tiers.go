package market

import (
	"errors"
	"log/slog"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// memoryCapacity is the size of the memory tier in bytes.
const memoryCapacity = 64 << 20

// diskTimeout is how long a call of the disk tier may take. There is no other
// copy of what it holds, so a disk that is busy is worth waiting for.
const diskTimeout = 10 * time.Second

// openChain opens the tiers, nearest first: memory, Redis where it is configured
// (shared is not nil), and the folder dir. A Redis that does not answer costs
// nothing but its data: the chain tells the observer, and goes on with the others.
func openChain(dir string, shared *redisstore.Config, observer chain.Observer, log *slog.Logger) (_ *chain.Chain, err error) {
	rules := policy.MarketData()
	var tiers []chain.Tier
	add := func(name string, s store.Store, timeout time.Duration) {
		tiers = append(tiers, chain.Tier{Name: name, Store: s, Timeout: timeout})
	}
	defer func() {
		if err != nil { // the chain owns the stores only once there is one
			for _, t := range tiers {
				err = errors.Join(err, t.Store.Close())
			}
		}
	}()

	memory, err := memstore.New(&memstore.Options{Capacity: memoryCapacity})
	if err != nil {
		return nil, err
	}
	add("memory", memory, 0)
	if shared != nil {
		// Keys of the example stay apart from whatever else the server holds.
		remote, err := redisstore.Connect(shared, &redisstore.Options{Prefix: "marketdata:", Wire: rules})
		if err != nil {
			return nil, err
		}
		add("redis", remote, 0) // 0: the chain's default
	}
	disk, err := diskstore.Open(dir, &diskstore.Options{Partitioner: rules, Logger: log})
	if err != nil {
		return nil, err
	}
	add("disk", disk, diskTimeout)
	return chain.New(tiers, rules, &chain.Options{Observer: observer})
}
