package audit_test

import (
	"slices"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/once"
)

var keyTamperings = []tampering{
	{"a key is lost", func(s *tables) (audit.Kind, string) { return s.loseKey("POST /v1/transfers") }},
	{"the key of an account is lost", func(s *tables) (audit.Kind, string) { return s.loseKey("POST /v1/accounts") }},
	{"the key of a reversal is lost", func(s *tables) (audit.Kind, string) { return s.loseKey("POST /v1/transfers/{id}/reverse") }},
	{"a key names a transfer that is not there", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Resource = "tr_nowhere"
		return audit.Key, "tr_nowhere"
	}},
	{"two keys made the same transfer", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		second := *r
		second.Key.ID = "another"
		s.keys = append(s.keys, second)
		return audit.Key, r.Resource
	}},
	{"a key is there twice", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		s.keys = append(s.keys, *r)
		return audit.Key, r.Resource
	}},
	{"a key belongs to another tenant", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Key.Tenant = "globex"
		return audit.Key, r.Resource
	}},
	{"two keys have each other's transfer", func(s *tables) (audit.Kind, string) {
		i, r := s.key("POST /v1/transfers")
		for j := range s.keys {
			other := &s.keys[j]
			if j != i && other.Operation == r.Operation && other.Resource != "" && other.CreatedAt != r.CreatedAt && other.Key.Tenant == r.Key.Tenant {
				r.Resource, other.Resource = other.Resource, r.Resource
				break
			}
		}
		return audit.Key, r.Resource
	}},
	{"a key says that it did something else", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Operation = "POST /v1/transfers/{id}/void"
		return audit.Key, r.Resource
	}},
	{"a key is older than what it made", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.CreatedAt = r.CreatedAt.Add(-time.Second)
		return audit.Key, r.Resource
	}},
	{"a key has no attempt", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.Attempt = 0
		return audit.Row, r.Key.ID
	}},
	{"a key is there and absent", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.State = once.Absent
		return audit.Row, r.Key.ID
	}},
	{"a key's window ends before it begins", func(s *tables) (audit.Kind, string) {
		_, r := s.key("POST /v1/transfers")
		r.ExpiresAt = r.CreatedAt
		return audit.Row, r.Key.ID
	}},
}

func (s *tables) key(operation string) (int, *once.Record) {
	i := slices.IndexFunc(s.keys, func(r once.Record) bool {
		return r.Operation == operation && r.Resource != "" && r.Key.Tenant == "acme"
	})
	return i, &s.keys[i]
}

func (s *tables) loseKey(operation string) (audit.Kind, string) {
	i, r := s.key(operation)
	made := r.Resource
	s.keys = slices.Delete(s.keys, i, i+1)
	return audit.Key, made
}
