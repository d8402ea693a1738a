//go:build integration

package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/oncepay/oncepay/contract"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

func TestOneServer(t *testing.T) { holdToContract(t, []string{startServer(t).addr}) }

func TestACluster(t *testing.T) { holdToContract(t, startCluster(t, 0).addrs()) }

// holdToContract gives each promise keys of its own on the same servers.
func holdToContract(t *testing.T, addrs []string) {
	var stores atomic.Int64
	contract.TestStore(t, func(t testing.TB) once.Store {
		prefix := fmt.Sprintf("of [store*] %d:", stores.Add(1))
		return open(t, addrs, func(c *redis.Config) { c.Prefix = prefix })
	})
}
