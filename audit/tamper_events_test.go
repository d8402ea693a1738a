package audit_test

import (
	"slices"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/outbox"
)

var eventTamperings = []tampering{
	{"an event is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.posted") }},
	{"the event of a hold is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.pending") }},
	{"the event of a void is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.voided") }},
	{"the event of an expiry is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.expired") }},
	{"the event of a reversal is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("transfer.reversed") }},
	{"the event of an account is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("account.opened") }},
	{"an event is there twice", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		s.events = append(s.events, *e)
		return audit.Event, e.Subject
	}},
	{"the event of a payment is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("payment.created") }},
	{"the event of a refund is lost", func(s *tables) (audit.Kind, string) { return s.loseEvent("refund.created") }},
	{"an event tells of something else", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.voided")
		e.Type = "transfer.expired"
		return audit.Event, e.Subject
	}},
	{"an event is of a type that does not exist", func(s *tables) (audit.Kind, string) {
		e := *s.event("transfer.voided")
		e.Type = "transfer.stolen"
		s.events = append(s.events, e)
		return audit.Event, e.Subject
	}},
	{"an event tells of a transfer that is not there", func(s *tables) (audit.Kind, string) {
		s.event("transfer.posted").Subject = "tr_nowhere"
		return audit.Event, "tr_nowhere"
	}},
	{"an event goes to another tenant", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		e.Tenant = map[string]string{"acme": "globex", "globex": "acme"}[e.Tenant]
		return audit.Event, e.Subject
	}},
	{"an event is of another moment", func(s *tables) (audit.Kind, string) {
		e := s.event("transfer.posted")
		e.At = e.At.Add(time.Microsecond)
		return audit.Event, e.Subject
	}},
}

func (s *tables) event(typ string) *outbox.Event {
	return &s.events[slices.IndexFunc(s.events, func(e outbox.Event) bool { return e.Type == typ })]
}

func (s *tables) loseEvent(typ string) (audit.Kind, string) {
	subject := s.event(typ).Subject
	i := slices.IndexFunc(s.events, func(e outbox.Event) bool { return e.Type == typ })
	s.events = slices.Delete(s.events, i, i+1)
	return audit.Event, subject
}
