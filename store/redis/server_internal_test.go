package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oncepay/oncepay/once"
)

func TestWhichServersWillDo(t *testing.T) {
	for _, row := range []struct {
		info  string
		allow bool
		says  string // "": it will do
	}{
		{"# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n", false, ""},
		{"redis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n", false, "6.2.14"},
		{"redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nmaxmemory_policy:noeviction\r\n", false, ""},
		{"redis_version:10.0.0\r\nmaxmemory_policy:noeviction\r\n", false, ""},
		{"redis_version:7.0.15\r\nmaxmemory_policy:volatile-ttl\r\n", false, "volatile-ttl"},
		{"redis_version:7.0.15\r\nmaxmemory_policy:volatile-ttl\r\n", true, ""},
		{"", false, ""},
	} {
		n := node{addr: "10.0.0.1:6379", info: parseInfo(row.info)}
		err := n.check(Config{AllowEviction: row.allow})
		if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)) {
			t.Errorf("%q: it is told %v, want it to speak of %q", row.info, err, row.says)
		}
		if evicts := strings.Contains(row.says, "ttl"); errors.Is(err, ErrEvicts) != evicts {
			t.Errorf("%q: %v", row.info, err)
		}
	}
}

func TestCursors(t *testing.T) {
	for _, c := range []cursor{{}, {among: 1<<64 - 1, node: 35, scan: 1 << 63, shown: []uint64{1, 1<<64 - 1}}} {
		got, err := parseCursor(c.String())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("%+v is read as %+v %v", c, got, err)
		}
	}
}

// A piece that has more than fits into a page is shown over as many pages as it needs,
// and nothing of it twice.
func TestAPieceOverManyPages(t *testing.T) {
	var piece []once.Record
	for i := range 5 {
		piece = append(piece, once.Record{Key: once.Key{Tenant: "acme", ID: fmt.Sprint(i)}})
	}
	c, shown := cursor{node: 1, scan: 7}, ""
	for page := range 3 {
		for _, r := range c.take(append([]once.Record(nil), piece...), 9, 2) {
			shown += r.Key.ID
		}
		if done := c.scan == 9; done != (page == 2) {
			t.Errorf("after page %d it goes on at %+v", page, c)
		}
	}
	if shown != "01234" || len(c.shown) != 0 {
		t.Errorf("shown are %s, and it goes on at %+v", shown, c)
	}
	if c.take(nil, 0, 2); c.node != 2 || c.scan != 0 {
		t.Errorf("after the last piece of a server it goes on at %+v", c)
	}
}

func TestServersThatAreReplacedAreOthers(t *testing.T) {
	a := []node{{addr: "a", info: map[string]string{"run_id": "1"}}, {addr: "b", info: map[string]string{"run_id": "2"}}}
	b := []node{{addr: "a", info: map[string]string{"run_id": "1"}}, {addr: "b", info: map[string]string{"run_id": "3"}}}
	if membership(a) != membership(slices.Clone(a)) || membership(a) == membership(b) || membership(a) == membership(a[:1]) {
		t.Error("they are told by something else")
	}
}
