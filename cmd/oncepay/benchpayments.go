package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func benchPaymentsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "payments",
		Short: "Measure what payments cost this program: CPU, memory while they wait, recovery after a crash",
		Long: `Start a sandbox gateway and a server on a new store, each a process, and measure: the server's own CPU for a
payment; its memory while many payments wait for a gateway that is slow; and how long it takes to settle what was
in doubt when it was killed. Client, server and gateway share the machine. Nothing is left behind.`,
	}
	n := cmd.Flags().Int("payments", 10_000, "how many payments, in each of the three")
	dir := cmd.Flags().String("dir", "", "`directory` on the disk to measure (default: where temporary files go)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *n < 1 || *n > maxCount {
			return usagef("--payments: %d is not between 1 and %d", *n, maxCount)
		}
		b := &paymentBench{p: p, payments: *n}
		figures, err := b.run(cmd.Context(), *dir)
		if err != nil {
			return err
		}
		return p.printFigures(figures, *asJSON)
	}
	return cmd
}

// figure is something that was measured.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal"`
}

// paymentBench measures payments.
type paymentBench struct {
	p        *program
	payments int
	dir      string
	client   *http.Client
	gateway  *child
	server   *child
	seq      atomic.Int64
}

func (b *paymentBench) run(ctx context.Context, dir string) (figures []figure, err error) {
	if b.dir, err = os.MkdirTemp(dir, "oncepay-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if most := openFiles() - spareFiles; b.payments > most { // a payment that waits is a connection to the gateway
		return nil, fmt.Errorf("%d payments at once need %d open files, and this process may have %d: raise the limit (ulimit -n), or say --payments %d",
			b.payments, b.payments+spareFiles, openFiles(), max(1, most))
	}
	b.client = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true}}
	// A gateway that may be waited for long, so that all payments wait at once.
	b.gateway, err = startChild(ctx, b.p.stderr, "sandbox", "--addr=127.0.0.1:0", "--books="+filepath.Join(b.dir, "sandbox.db"), "--timeout=40s", "--in-flight=40s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.gateway.stop()) }()
	for _, part := range []func(context.Context) ([]figure, error){b.cpu, b.waiting, b.recovery} {
		got, err := b.inServer(ctx, part)
		if err != nil {
			return nil, err
		}
		figures = append(figures, got...)
	}
	return figures, nil
}

// spareFiles is what a server opens beside the connections of payments.
const spareFiles = 1000

func openFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur, maxCount*3))
}

// inServer runs a part with a server of its own.
func (b *paymentBench) inServer(ctx context.Context, part func(context.Context) ([]figure, error)) (figures []figure, err error) {
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	figures, err = part(ctx)
	b.client.CloseIdleConnections()
	return figures, errors.Join(err, b.server.stop(), os.Remove(b.store()))
}

func (b *paymentBench) store() string { return filepath.Join(b.dir, "oncepay.db") }

func (b *paymentBench) start(ctx context.Context) error {
	server, err := startChild(ctx, b.p.stderr, "serve", "--dev", "--addr=127.0.0.1:0", "--log-level=error",
		"--limits-connections=100000", "--limits-in-flight=100000", "--store=sqlite:"+b.store(), "--sandbox="+b.gateway.url)
	if err != nil {
		return err
	}
	b.server = server
	for range 100 { // until the gateway has told its contract
		if status, _, err := b.pay(ctx, "pm_ok", 10); err == nil && status == http.StatusCreated {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the server takes no payments")
}

// cpu measures what a payment that goes well costs.
func (b *paymentBench) cpu(ctx context.Context) ([]figure, error) {
	fmt.Fprintf(b.p.stderr, "%d payments by 64 clients\n", b.payments)
	before, err := cpuTime(b.server.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := b.all(ctx, b.payments, 64, "pm_ok", 30, http.StatusCreated); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := cpuTime(b.server.cmd.Process.Pid)
	return []figure{
		{"CPU of a payment", float64((after - before).Microseconds()) / float64(b.payments) / 1000, "ms", "under 1"},
		{"payments", float64(b.payments) / took.Seconds(), "per second", ""},
	}, err
}

// waiting measures what payments cost that wait for their gateway all at once.
func (b *paymentBench) waiting(ctx context.Context) ([]figure, error) {
	n := min(b.payments, (openFiles()-spareFiles)/2) // each has a connection on either side
	fmt.Fprintf(b.p.stderr, "%d payments that wait at once, and their clients with them\n", n)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- b.all(ctx, n, n, "pm_timeout_after_charge", 60, 0) }()
	if err := b.until(ctx, 35*time.Second, b.waitsAtGateway(n)); err != nil {
		return nil, err
	}
	peak, err := peakMemory(b.server.cmd.Process.Pid)
	cancel()
	<-waited
	return []figure{{fmt.Sprintf("peak memory, %d waiting with their clients", n), float64(peak) / (1 << 20), "MiB", "under 512"}}, err
}

// waitsAtGateway says whether so many sends wait for their answer.
func (b *paymentBench) waitsAtGateway(n int) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		waiting, err := b.inFlight(ctx)
		return waiting >= int64(n), err
	}
}

// inFlight reads how many sends wait for their answer.
func (b *paymentBench) inFlight(ctx context.Context) (int64, error) {
	body, err := b.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "oncepay_gateway_sends_in_flight"); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:]), 64)
			return int64(f), err
		}
	}
	return 0, errors.New("the server does not say how many payments are at the gateway")
}

// recovery measures how long it takes to settle what was in doubt when the
// server was killed.
func (b *paymentBench) recovery(ctx context.Context) ([]figure, error) {
	fmt.Fprintf(b.p.stderr, "%d payments in doubt after a crash\n", b.payments)
	if err := b.all(ctx, b.payments, 64, "pm_timeout_after_charge", 0, http.StatusAccepted); err != nil {
		return nil, err
	}
	if err := b.until(ctx, 35*time.Second, b.waitsAtGateway(b.payments)); err != nil {
		return nil, err
	}
	peak, err := peakMemory(b.server.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := b.server.cmd.Process.Kill(); err != nil {
		return nil, err
	}
	b.server.cmd.Wait()
	b.client.CloseIdleConnections()
	began := time.Now()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	ready := time.Since(began)
	if err := b.until(ctx, 2*time.Minute, b.settled); err != nil {
		return nil, err
	}
	return []figure{
		{fmt.Sprintf("peak memory, %d waiting without clients", b.payments), float64(peak) / (1 << 20), "MiB", "under 512"},
		{"start after the crash", ready.Seconds(), "s", ""},
		{"all settled, since the start", time.Since(began).Seconds(), "s", "under 10"},
	}, nil
}

// settled says whether no payment is at work any more.
func (b *paymentBench) settled(ctx context.Context) (bool, error) {
	body, err := b.get(ctx, "/v1/payments?status=processing&limit=1")
	if err != nil {
		return false, err
	}
	var list struct{ Data []json.RawMessage }
	err = json.Unmarshal(body, &list)
	return len(list.Data) == 0, err
}

// until waits for something to be so.
func (b *paymentBench) until(ctx context.Context, most time.Duration, so func(context.Context) (bool, error)) error {
	deadline := time.Now().Add(most)
	for {
		yes, err := so(ctx)
		switch {
		case err != nil || yes:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("it took longer than %v", most)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// all sends n payments by so many clients. Each must be answered with
// the status, if it is not 0.
func (b *paymentBench) all(ctx context.Context, n, clients int, method string, wait, status int) error {
	var left atomic.Int64
	left.Store(int64(n))
	var sending sync.WaitGroup
	var once sync.Once
	var failed error
	for range clients {
		sending.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				got, body, err := b.pay(ctx, method, wait)
				if status != 0 && (err != nil || got != status) {
					once.Do(func() { failed = fmt.Errorf("a payment was answered %d %s: %w", got, body, err) })
					return
				}
			}
		})
	}
	sending.Wait()
	return failed
}

func (b *paymentBench) pay(ctx context.Context, method string, wait int) (int, []byte, error) {
	body := fmt.Sprintf(`{"amount":1250,"currency":"EUR","payment_method":%q,"confirm":true}`, method)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.server.url+"/v1/payments", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.GetBody = nil // Go would send a keyed POST again by itself
	req.Header = http.Header{
		"Authorization": {"Bearer " + devKey}, "Content-Type": {"application/json"},
		"Idempotency-Key": {fmt.Sprintf("bench-%d-%d", os.Getpid(), b.seq.Add(1))}, "Prefer": {"wait=" + strconv.Itoa(wait)},
	}
	return b.do(req)
}

func (b *paymentBench) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+devKey)
	status, body, err := b.do(req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return body, err
}

func (b *paymentBench) do(req *http.Request) (int, []byte, error) {
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, body, err
}

// cpuTime is what a process has used of the processors, in user and system mode
// (proc(5), stat).
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	const tick = time.Second / 100 // USER_HZ
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// peakMemory is the most memory that a process had resident (proc(5), VmHWM).
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the system does not say how much memory a process had")
}

func (p *program) printFigures(figures []figure, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"figures": figures})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tMEASURED\tUNIT\tGOAL")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\n", f.Name, f.Value, f.Unit, f.Goal)
	}
	return w.Flush()
}
