package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the transcripts and the guide from what the program does")

// TestMain lets a test start this binary as oncepay itself.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_PROGRAM") != "" {
		main()
		panic("main returned: to go on would start the tests, which start this again")
	}
	os.Exit(m.Run())
}

// outcome is what a run left behind.
type outcome struct {
	stdout, stderr string
	status         int
}

// oncepay runs the whole program in this process.
func oncepay(env []string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	status := run(context.Background(), args, env, strings.NewReader(""), &stdout, &stderr)
	return outcome{stdout.String(), stderr.String(), status}
}

// serving runs `oncepay serve` with a body that does nothing but keep what it
// was given.
func serving(seen *config) func(env []string, args ...string) outcome {
	return func(env []string, args ...string) outcome {
		var stdout, stderr bytes.Buffer
		p := &program{env: env, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}
		status := p.execute(context.Background(), args, serveCommand(p, func(_ context.Context, _ *program, c config) error {
			*seen = c
			return nil
		}))
		return outcome{stdout.String(), stderr.String(), status}
	}
}

func TestHelp(t *testing.T)       { transcript(t, "help.txt", oncepay) }
func TestWrongUsage(t *testing.T) { transcript(t, "wrong.txt", oncepay) }
func TestHelpServe(t *testing.T)  { transcript(t, "serve.txt", serving(new(config))) }

func TestHelpHasThreeNames(t *testing.T) {
	help := oncepay(nil, "help")
	for _, args := range [][]string{nil, {"--help"}, {"-h"}} {
		if got := oncepay(nil, args...); got != help {
			t.Errorf("oncepay %v: got %+v, want what help says: %+v", args, got, help)
		}
	}
}

func TestOnlyTheArgumentsThatWereGivenCount(t *testing.T) {
	before := os.Args
	t.Cleanup(func() { os.Args = before })
	os.Args = []string{"oncepay", "version"}
	if got := oncepay(nil); got != oncepay(nil, "help") {
		t.Errorf("without arguments it says %+v", got)
	}
}

// transcript runs each line of a file in testdata that begins with "$ " and
// compares what the program says to what the file says that it says.
func transcript(t *testing.T, name string, run func([]string, ...string) outcome) {
	t.Helper()
	t.Chdir("testdata")
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(want)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		env, args, _ := strings.Cut(" "+command, " oncepay")
		o := run(strings.Fields(env), strings.Fields(args)...)
		fmt.Fprintf(&got, "$ %s\n%s%sexit %d\n\n", command, o.stdout, prefixed("stderr| ", o.stderr), o.status)
	}
	compare(t, name, string(want), got.String())
}

func prefixed(prefix, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(prefix + line)
	}
	return out.String()
}

// compare holds the file at path to what it should say.
func compare(t *testing.T, path, want, got string) {
	t.Helper()
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s differs (if the change is meant: go test ./cmd/oncepay -update)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestExitStatusOfABody(t *testing.T) {
	for sentence, row := range map[string]struct {
		err    error
		status int
		stderr string
	}{
		"good news is 0":                        {nil, 0, ""},
		"bad news is 1 and its text on stderr":  {badNews{"2 cents are missing"}, 1, "oncepay: 2 cents are missing\n"},
		"bad news may have no text":             {badNews{}, 1, ""},
		"bad news stays bad news when wrapped":  {fmt.Errorf("verify: %w", badNews{"a cent"}), 1, "oncepay: verify: a cent\n"},
		"wrong usage found by a body is 2":      {usagef("seeds: -1 is not 1 or more"), 2, "oncepay: seeds: -1 is not 1 or more\nTry \"oncepay try --help\".\n"},
		"a failure is 1, since nothing is good": {errors.New("the disk is full"), 1, "oncepay: the disk is full\n"},
		"a signal is said in plain words":       {fmt.Errorf("load: %w", context.Canceled), 1, "oncepay: interrupted\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var stderr bytes.Buffer
			p := &program{stderr: &stderr}
			status := p.execute(context.Background(), []string{"try"}, tryCommand(func(context.Context) error { return row.err }))
			if status != row.status || stderr.String() != row.stderr {
				t.Errorf("got status %d, stderr %q; want %d, %q", status, &stderr, row.status, row.stderr)
			}
		})
	}
}

// tryCommand is a command with the given body.
func tryCommand(body func(context.Context) error) *cobra.Command {
	return &cobra.Command{Use: "try", RunE: func(cmd *cobra.Command, _ []string) error { return body(cmd.Context()) }}
}

func TestAFlagOfACommandsOwn(t *testing.T) {
	var stderr bytes.Buffer
	p := &program{stderr: &stderr}
	cmd := tryCommand(nil)
	cmd.Flags().Int("seeds", 1, "")
	if status := p.execute(context.Background(), []string{"try", "--seeds=many"}, cmd); status != exitUsage {
		t.Errorf("exit %d, want 2", status)
	}
	if got, want := stderr.String(), "oncepay: --seeds: \"many\" is no int\nTry \"oncepay try --help\".\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestACommandMayHoldOthersAndWorkAlone(t *testing.T) {
	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr}
	cmd := tryCommand(func(context.Context) error { return badNews{"it ran"} })
	cmd.AddCommand(&cobra.Command{Use: "harder", Run: func(*cobra.Command, []string) {}})
	p.execute(context.Background(), []string{"try"}, cmd)
	if got := stderr.String(); got != "oncepay: it ran\n" {
		t.Errorf("alone it says %q", got)
	}
	p.execute(context.Background(), []string{"try", "--help"}, cmd)
	if !strings.Contains(stdout.String(), "oncepay try [flags]\n") {
		t.Errorf("help does not show that it works alone:\n%s", &stdout)
	}
}

func TestABodySeesTheEndOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var seen error
	p := &program{stderr: new(bytes.Buffer)}
	p.execute(ctx, []string{"try"}, tryCommand(func(ctx context.Context) error {
		seen = ctx.Err()
		return nil
	}))
	if seen == nil {
		t.Error("the body's context is not the one that a signal ends")
	}
}

func TestResultsThatCannotBeWrittenAreNoSuccess(t *testing.T) {
	for _, command := range []string{"config", "config --json", "version", "version --json"} {
		var stderr bytes.Buffer
		status := run(context.Background(), strings.Fields(command), nil, nil, full{}, &stderr)
		if status != exitBad || stderr.String() != "oncepay: no space left\n" {
			t.Errorf("%s: got status %d, stderr %q", command, status, &stderr)
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestTheProcessEndsWithTheStatus(t *testing.T) {
	for args, want := range map[string]int{"version": exitGood, "config --addr nowhere": exitUsage} {
		cmd := exec.Command(os.Args[0], strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "TEST_AS_PROGRAM=yes")
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("oncepay %s: exit %d, want %d (%v)\n%s", args, got, want, err, out)
		}
	}
}
