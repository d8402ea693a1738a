package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// script drives a Step by hand, one line at a time, and writes down what it
// wants done. The other side is a real store, but the script says when it is
// asked, and what the Step is told.
type script struct {
	t     *testing.T
	cfg   engine.Config
	step  *engine.Step
	store *engine.Memory
	now   time.Time
	out   strings.Builder

	need    *engine.Need // a load that was asked for
	rows    *engine.Rows // what it found, once the store was asked
	changes *engine.Changes
	done    bool // the store was given the changes
	resolve *engine.Need

	others byte // who wrote elsewhere: each needs luck of its own
	jobs   map[string]*engine.Job
	made   map[string]string // name of a job: id of the transfer that it made
}

// The day on which all scripts play; the Step's clock starts at its beginning.
var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newScript(t *testing.T, cfg engine.Config) *script {
	cfg.Rules = func(string) once.Rules { return once.Rules{Window: 24 * time.Hour, Lease: 30 * time.Second} }
	s := &script{
		t: t, cfg: cfg, step: engine.NewStep(cfg), store: engine.NewMemory(), now: day.Add(12 * time.Hour),
		jobs: map[string]*engine.Job{}, made: map[string]string{},
	}
	var accounts []*ledger.Account
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		accounts = append(accounts, &ledger.Account{
			Ref: ledger.Ref{Tenant: "acme", ID: name}, Currency: "EUR", Floor: ledger.Floor{None: true}, CreatedAt: day, Version: 1,
		})
	}
	s.must(s.store.Commit(context.Background(), &engine.Changes{At: day, Ledger: &ledger.Changes{Accounts: accounts}}))
	return s
}

// run plays a script: what comes after "> " is done, and what the Step then
// wants is written below it. Several things on one line, with | between them,
// are told to the Step before it is asked what it wants.
func (s *script) run(input string) string {
	for line := range strings.Lines(input) {
		line, is := strings.CutPrefix(strings.TrimSpace(line), "> ")
		if !is {
			continue
		}
		fmt.Fprintf(&s.out, "> %s\n", line)
		for part := range strings.SplitSeq(line, "|") {
			s.play(strings.Fields(part))
		}
		for _, e := range s.step.Effects() {
			s.note(e)
		}
	}
	return s.out.String()
}

func (s *script) play(words []string) {
	verb, args := words[0], words[1:]
	s.check(verb)
	switch verb {
	case "read": // the store answers a load, but the Step is not told yet
		s.read()
	case "loaded":
		s.loaded(args)
	case "commit": // the store is given the commit, but the Step is not told yet
		s.commit()
	case "committed":
		s.committed(args)
	case "resolved":
		s.resolved(args)
	case "leave":
		s.step.Leave(s.jobs[args[0]])
	case "at":
		at, err := time.Parse("15:04:05", args[0])
		s.must(err)
		s.now = time.Date(2026, 3, 1, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
	case "tomorrow":
		s.now = s.now.AddDate(0, 0, 1)
	case "elsewhere":
		s.elsewhere(args...)
	case "claimed": // the store holds a claim of somebody else
		s.must(s.store.Commit(context.Background(), &engine.Changes{Ledger: &ledger.Changes{}, Keys: []once.Record{
			{Key: once.Key{Tenant: "acme", ID: args[0]}, State: once.Claimed, Fingerprint: fingerprint("transfer alice bob 1"), Attempt: 1, Version: 1, LeaseUntil: s.now.Add(time.Hour)},
		}}))
	default: // "name: command …"
		s.submit(strings.TrimSuffix(verb, ":"), args)
	}
}

// check fails a script that answers what was not asked.
func (s *script) check(verb string) {
	asked, needed := map[string]bool{
		"read": s.need != nil, "loaded": s.need != nil, "commit": s.changes != nil, "committed": s.changes != nil, "resolved": s.resolve != nil,
	}[verb]
	if needed && !asked {
		s.t.Fatalf("%s: nobody asked\n%s", verb, s.out.String())
	}
}

// submit brings a job: "alice bob 10 key=k". The fingerprint is made from its
// words, so the same words are the same request.
func (s *script) submit(name string, words []string) {
	j := &engine.Job{Tenant: "acme"}
	var request []string
	for _, w := range words {
		switch key, value, _ := strings.Cut(w, "="); {
		case key == "key":
			j.Request.Key.ID = value
		case key == "tenant":
			j.Tenant = value
		case w == "nowait":
			j.NoWait = true
		default:
			request = append(request, w)
		}
	}
	if j.Request.Key.ID != "" {
		j.Request.Key.Tenant = j.Tenant
		j.Request.Fingerprint = fingerprint(strings.Join(request, " "))
	}
	j.Command = s.command(j.Tenant, request)
	j.Reply = func(r ledger.Result, refusal *ledger.Refusal) once.Answer {
		if refusal != nil {
			return once.Answer{Status: 422, Body: fmt.Appendf(nil, "%s refused, %s", name, refusal.Code)}
		}
		if r.Transfer != nil {
			s.made[name] = r.Transfer.ID
			return once.Answer{Status: 201, Body: fmt.Appendf(nil, "%s done, %s", name, r.Transfer.Status)}
		}
		return once.Answer{Status: 201, Body: fmt.Appendf(nil, "%s done", name)}
	}
	s.jobs[name] = j
	s.step.Submit(j, s.now)
}

func fingerprint(request string) once.Fingerprint {
	return once.NewHasher([]byte("secret"), "acme").Request("POST", "/", []byte(request))
}

// command reads "open NAME [free]", "transfer FROM TO AMOUNT [hold]", "post JOB",
// "update NAME N" and "expire JOB".
func (s *script) command(tenant string, w []string) ledger.Command {
	ref := func(id string) ledger.Ref { return ledger.Ref{Tenant: tenant, ID: id} }
	switch w[0] {
	case "open":
		return ledger.OpenAccount{Ref: ref(w[1]), Currency: "EUR", Floor: ledger.Floor{None: slices.Contains(w, "free")}}
	case "transfer":
		amount, err := strconv.ParseInt(w[3], 10, 64)
		s.must(err)
		return ledger.CreateTransfer{
			Tenant: tenant, From: w[1], To: w[2], Amount: amount, Currency: "EUR", Pending: slices.Contains(w, "hold"),
		}
	case "post":
		return ledger.PostTransfer{Ref: ref(s.made[w[1]])}
	case "update":
		return ledger.UpdateAccount{Ref: ref(w[1]), Metadata: map[string]string{"v": w[2]}}
	}
	s.t.Fatalf("no command %q", w)
	return nil
}

// elsewhere has somebody else execute a command on the store, from end to end.
func (s *script) elsewhere(words ...string) {
	s.others++
	other := &script{
		t: s.t, step: engine.NewStep(engine.Config{Seed: [32]byte{1, s.others}}), now: s.now,
		jobs: map[string]*engine.Job{}, made: s.made,
	}
	other.submit("elsewhere", words)
	for !other.step.Idle() {
		for _, e := range other.step.Effects() {
			switch {
			case e.Load != nil:
				rows, err := s.store.Load(context.Background(), *e.Load)
				other.step.Loaded(rows, err, s.now)
			case e.Commit != nil:
				other.step.Committed(s.store.Commit(context.Background(), e.Commit), s.now)
			}
		}
	}
}

func (s *script) read() {
	rows, err := s.store.Load(context.Background(), *s.need)
	s.must(err)
	s.rows = &rows
}

func (s *script) loaded(args []string) {
	if len(args) > 0 {
		s.need, s.rows = nil, nil
		s.step.Loaded(engine.Rows{}, errors.New("no answer"), s.now)
		return
	}
	if s.rows == nil {
		s.read()
	}
	rows := *s.rows
	s.need, s.rows = nil, nil
	s.step.Loaded(rows, nil, s.now)
}

func (s *script) commit() {
	s.must(s.store.Commit(context.Background(), s.changes))
	s.done = true
}

func (s *script) committed(args []string) {
	var err error
	switch strings.Join(args, " ") {
	case "conflict":
		err = fmt.Errorf("a store says: %w", engine.ErrConflict)
	case "not":
		err = fmt.Errorf("a full disk: %w", engine.ErrNotCommitted)
	case "unknown":
		err = errors.New("connection lost")
	default:
		if !s.done {
			err = s.store.Commit(context.Background(), s.changes)
		}
		fmt.Fprintf(&s.out, "  (the store said: %v)\n", err)
	}
	if err == nil || errors.Is(err, engine.ErrNotCommitted) {
		s.changes, s.done = nil, false
	}
	s.step.Committed(err, s.now)
}

func (s *script) resolved(args []string) {
	if len(args) > 0 {
		s.step.Resolved(engine.Rows{}, errors.New("no answer"), s.now)
		return
	}
	rows, err := s.store.Load(context.Background(), *s.resolve)
	s.must(err)
	s.resolve, s.changes, s.done = nil, nil, false
	s.step.Resolved(rows, nil, s.now)
}

// note writes an effect down, and keeps what it asks for.
func (s *script) note(e engine.Effect) {
	switch {
	case e.Load != nil:
		if s.need != nil {
			s.t.Fatalf("two loads at a time:\n%s", s.out.String())
		}
		s.need = e.Load
		fmt.Fprintf(&s.out, "  load%s\n", s.words(e.Load))
	case e.Resolve != nil:
		s.resolve = e.Resolve
		fmt.Fprintf(&s.out, "  resolve%s\n", s.words(e.Resolve))
	case e.Commit != nil:
		if s.changes != nil {
			s.t.Fatalf("two commits at a time:\n%s", s.out.String())
		}
		s.changes = e.Commit
		s.noteCommit(e.Commit)
	case e.Answer != nil:
		s.noteAnswer(e.Answer)
	}
}

func (s *script) words(n *engine.Need) string {
	var b strings.Builder
	list := func(what string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, " %s %s;", what, strings.Join(names, " "))
		}
	}
	var keys []string
	for _, k := range n.Keys {
		keys = append(keys, k.ID)
	}
	list("keys", keys)
	list("accounts", s.names(n.Rows.Accounts))
	list("transfers", s.names(n.Rows.Transfers))
	if n.Entries > 0 {
		fmt.Fprintf(&b, " %d numbers;", n.Entries)
	}
	return strings.TrimSuffix(cmp.Or(b.String(), " nothing"), ";")
}

// names writes ids, those of transfers as "that of JOB".
func (s *script) names(refs []ledger.Ref) []string {
	var names []string
	for _, r := range refs {
		name := r.ID
		for job, id := range s.made {
			if id == r.ID {
				name = "that-of-" + job
			}
		}
		names = append(names, name)
	}
	return names
}

func (s *script) noteCommit(c *engine.Changes) {
	fmt.Fprintf(&s.out, "  commit at %s:", c.At.Format("02 15:04:05"))
	for _, r := range c.Keys {
		fmt.Fprintf(&s.out, " %s is %s by %s;", r.Key.ID, r.State, r.Answer.Body)
	}
	for _, a := range c.Ledger.Accounts {
		fmt.Fprintf(&s.out, " %s %+d, version %d;", a.ID, a.Balance.Posted, a.Version)
	}
	if n := len(c.Ledger.Entries); n > 0 {
		fmt.Fprintf(&s.out, " entries %d to %d;", c.Ledger.Entries[0].Seq, c.Ledger.Entries[n-1].Seq)
	}
	fmt.Fprintf(&s.out, " %d events\n", len(c.Ledger.Events))
}

func (s *script) noteAnswer(a *engine.Answered) {
	name := ""
	for n, j := range s.jobs {
		if j == a.Job {
			name = n
		}
	}
	o := a.Outcome
	fmt.Fprintf(&s.out, "  answer %s: ", name)
	switch {
	case o.Err != nil:
		fmt.Fprint(&s.out, o.Err)
	case o.Replayed:
		fmt.Fprintf(&s.out, "%s, replayed", o.Answer.Body)
	case o.Stored:
		fmt.Fprintf(&s.out, "%s, stored", o.Answer.Body)
	default:
		fmt.Fprintf(&s.out, "%s", o.Answer.Body)
	}
	if !o.ExpiresAt.IsZero() {
		fmt.Fprintf(&s.out, ", until %s", o.ExpiresAt.Format("02 15:04:05"))
	}
	s.out.WriteString("\n")
	if o.Stored != (a.Record.State == once.Done) {
		s.t.Errorf("%s is stored: %v, and its record is %v", name, o.Stored, a.Record.State)
	}
}

func (s *script) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.out.String())
	}
}
