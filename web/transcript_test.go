package web

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
	"github.com/oncepay/oncepay/webhook"
)

var update = flag.Bool("update", false, "write the transcripts as they are now")

// The transcripts in testdata are what the API promises, for people to read. A
// step is a request and, after four dashes, what came of it:
//
//	POST /v1/transfers key=order-1
//	{"from":"alice","to":"bob","amount":100,"currency":"EUR"}
//	----
//	201 Created
//	...
//
// Behind the address there can be key=KEY, as=TENANT, prefer=wait=SECONDS,
// signed=TENANT:ID for a webhook, and &NAME, which leaves the request waiting:
// "answer NAME" shows its answer. Other steps are "wait DURATION"; "store stops",
// "store fails", "store works"; "gateway closes", which takes nothing new then,
// "gateway stops", which says nothing any more, "gateway works"; and "customer
// approves PAYMENT", "customer refuses PAYMENT". What a gateway does is the
// payment method's choice: see till.
// Ids and times are numbered as they come up. An answer that was given before is
// shown as such if it has the same bytes.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, engine.NewMemory(), string(want)) })
			synctest.Test(t, func(t *testing.T) {
				if on := play(t, openSQLite(t), string(want)); on != got {
					t.Errorf("on SQLite it is another one:\n%s", firstDifference(on, got))
				}
			})
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s is not what happens (go test ./web -update writes it anew):\n%s", file, firstDifference(got, string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(g), len(w))
}

// theatre plays a transcript.
type theatre struct {
	*house
	rest    func()            // ends the upkeep of the store
	names   map[string]string // ids and times as they are shown
	counts  map[string]int    // of names, by kind
	waiting map[string]chan answer
	keys    map[string]string // the key that a waiting request has
	bodies  map[string]string // the first answer under a key
}

// opening is when transcripts play.
var opening = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func play(t *testing.T, on backing, script string) string {
	time.Sleep(time.Until(opening)) // the bubble's clock begins in 2000
	house := newHouseOn(t, on, nil)
	h := &theatre{house, house.keep(), map[string]string{}, map[string]int{}, map[string]chan answer{}, map[string]string{}, map[string]string{}}
	var out strings.Builder
	for step := range strings.SplitSeq(strings.TrimSuffix(script, "\n"), "\n\n") {
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		asked, _, _ := strings.Cut(step, "\n----")
		out.WriteString(asked + "\n")
		if strings.HasPrefix(lastComment.ReplaceAllString(asked, ""), "#") || asked == "" {
			continue
		}
		if came := h.perform(lastComment.ReplaceAllString(asked, "")); came != "" {
			out.WriteString("----\n" + came + "\n")
		}
	}
	h.store.set(false, false)
	synctest.Wait()
	h.rest()
	return out.String()
}

// keep has the store kept, as the program does, until rest is called.
func (h *house) keep() (rest func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		h.executor.Keep(ctx, h.store, engine.UpkeepConfig{Tombstones: 400 * 24 * time.Hour, Skew: time.Hour, Log: h.API.log})
	})
	return func() {
		cancel()
		keeping.Wait()
	}
}

// lastComment matches the comments above a step.
var lastComment = regexp.MustCompile(`^(#.*\n)+`)

func (h *theatre) perform(step string) string {
	time.Sleep(time.Millisecond) // two steps never have the same time
	first, body, _ := strings.Cut(step, "\n")
	words := strings.Fields(first)
	switch words[0] {
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			h.t.Fatal(err)
		}
		h.rest() // upkeep looks every second; nobody needs a day of that
		time.Sleep(max(0, d-time.Minute))
		h.rest = h.keep()
		time.Sleep(min(d, time.Minute))
		return ""
	case "store":
		h.store.set(words[1] == "stops", words[1] == "fails")
		return ""
	case "gateway":
		h.till.set(map[string]string{"closes": "the gateway fails"}[words[1]], words[1] == "stops")
		return ""
	case "customer":
		p, err := h.store.Payment(context.Background(), pay.Ref{Tenant: "acme", ID: h.real(words[2])})
		if err != nil {
			h.t.Fatal(err)
		}
		h.till.act(p, words[1] == "approves")
		return ""
	case "answer":
		return h.show(h.keys[words[1]], <-h.waiting[words[1]])
	}
	return h.ask(words, body)
}

func (h *theatre) ask(words []string, rest string) string {
	fields, key, background := http.Header{}, "", ""
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case name == "key":
			fields.Add("Idempotency-Key", value)
			key += strings.Trim(value, `"`)
		case name == "as":
			fields.Set("Authorization", "Bearer sk_"+value)
			key += " of " + value
		case name == "prefer":
			fields.Set("Prefer", value)
		case name == "signed":
			h.sign(fields, value, h.real(rest))
		case word == "flipped": // one bit of it, after it was signed
			rest = h.real(rest)
			rest = rest[:len(rest)-3] + string(rest[len(rest)-3]^1) + rest[len(rest)-2:]
		case name[0] == '&':
			background = name[1:]
		default:
			h.t.Fatalf("no such word in a transcript: %s", word)
		}
	}
	r := request(words[0], h.real(words[1]), h.real(rest))
	maps.Copy(r.Header, fields)
	if fields.Get(webhook.HeaderID) != "" {
		r.Header.Del("Authorization")
	}
	if background != "" {
		return h.leave(background, key, r)
	}
	return h.show(key, h.send(r))
}

// sign signs a body as the sandbox does, "NAME:ID": the tenant's name and the
// notice's id.
func (h *theatre) sign(fields http.Header, as, body string) {
	tenant, id, _ := strings.Cut(as, ":")
	if err := webhook.Sign(fields, webhook.Message{ID: id, At: time.Now(), Body: []byte(body)}, secretOf(tenant)); err != nil {
		h.t.Fatal(err)
	}
}

// leave sends a request that waits: it is shown later.
func (h *theatre) leave(name, key string, r *http.Request) string {
	c := make(chan answer, 1)
	h.waiting[name], h.keys[name] = c, key
	go func() { c <- h.send(r) }()
	synctest.Wait()
	return ""
}

// shown are the header lines that a transcript shows.
var shown = []string{"Location", "Allow", "Retry-After", "Www-Authenticate", "Idempotency-Expires", "Idempotency-Replayed"}

func (h *theatre) show(key string, a answer) string {
	lines := []string{fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))}
	for _, name := range shown {
		if v := a.header.Get(name); v != "" {
			lines = append(lines, name+": "+v)
		}
	}
	first, known := h.bodies[key]
	switch {
	case a.body == "":
	case a.header.Get("Idempotency-Replayed") != "" && known && first == a.body:
		lines = append(lines, "(the bytes of the first answer)")
	default:
		lines = append(lines, indent(a.body))
	}
	if a.header.Get("Idempotency-Expires") != "" && !known && a.status != 202 && a.code() != "in_progress" && a.code() != "invalid" {
		h.bodies[key] = a.body
	}
	return h.number(strings.Join(lines, "\n"))
}

// wide is how long a line of JSON may be.
const wide = 110

// indent lays JSON out, short objects on a line.
func indent(body string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(body), "", "  ") != nil {
		return body
	}
	return shortObject.ReplaceAllStringFunc(b.String(), func(s string) string {
		if one := strings.Join(strings.Fields(s), " "); len(one) < wide && !strings.Contains(s, `": "`+"  ") {
			return one
		}
		return s
	})
}

// shortObject matches an object or array without another in it.
var shortObject = regexp.MustCompile(`[{\[][^{}\[\]]*[}\]]`)

var (
	anID    = regexp.MustCompile(`\b(acc|tr|evt|req|pay|att|cap|re)_[0-9a-hjkmnp-tv-z]{26}\b`)
	aTime   = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z`)
	aCursor = regexp.MustCompile(`"next_cursor": ".*"`)
	aShort  = regexp.MustCompile(`\b(acc|tr|evt|pay|att|cap|re)_\d+\b`)
)

// number shows ids and times by number, as they come up.
func (h *theatre) number(s string) string {
	s = anID.ReplaceAllStringFunc(s, func(id string) string { return h.name(id, id[:strings.IndexByte(id, '_')+1]) })
	s = aCursor.ReplaceAllString(s, `"next_cursor": "..."`) // each store has its own
	return aTime.ReplaceAllStringFunc(s, func(at string) string {
		t, _ := time.Parse(time.RFC3339Nano, at)
		return sinceOpening(t)
	})
}

// sinceOpening writes a time as the seconds since the transcript began.
func sinceOpening(t time.Time) string {
	d := t.Sub(opening).Truncate(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%dh%02dm%02ds", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	}
	return d.String()
}

func (h *theatre) name(id, kind string) string {
	if _, ok := h.names[id]; !ok {
		h.counts[kind]++
		h.names[id] = fmt.Sprint(kind, h.counts[kind])
	}
	return h.names[id]
}

// real puts back the ids that a request names by number.
func (h *theatre) real(s string) string {
	return aShort.ReplaceAllStringFunc(s, func(short string) string {
		for id, name := range h.names {
			if name == short {
				return id
			}
		}
		return short
	})
}
