package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain runs the shop itself where a test has asked for it.
func TestMain(m *testing.M) {
	if os.Getenv("SHOP_ARGS") == "" {
		os.Exit(m.Run())
	}
	os.Args = append(os.Args[:1], strings.Fields(os.Getenv("SHOP_ARGS"))...)
	main()
}

// openShop opens a shop, as a process of its own.
func openShop(t *testing.T, dir string, env ...string) (url, operators string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "SHOP_ARGS=-addr 127.0.0.1:0 -operators 127.0.0.1:0 -lease 1s -dir "+dir)...)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	at := map[string]string{}
	for lines := bufio.NewScanner(out); len(at) < 2; {
		if !lines.Scan() {
			t.Fatalf("it ends, and has said %v", at)
		}
		if to, url, found := strings.Cut(lines.Text(), " come to "); found {
			at[to[strings.LastIndex(to, " ")+1:]] = url // without the time
		}
	}
	go io.Copy(io.Discard, out)
	return at["customers"], at["operators"], cmd
}

func send(t *testing.T, user, method, url, key, body string) (status int, told string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil
	r.SetBasicAuth(user, "tea")
	r.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// An order is charged once: sent twice, after a restart, and when the shop died after it
// had charged and before it knew.
func TestOrdersAreChargedOnce(t *testing.T) {
	dir := t.TempDir()
	const order = `{"item":"tea","cents":450}`
	url, _, cmd := openShop(t, dir)
	for range 2 {
		if status, told := send(t, "alice", "POST", url+"/orders", "cart-7", order); status != 201 || !strings.Contains(told, "ch_1") {
			t.Errorf("the order gets %d %s", status, told)
		}
	}
	if status, told := send(t, "bob", "POST", url+"/orders", "cart-7", order); status != 201 || !strings.Contains(told, "ch_2") {
		t.Errorf("another customer's gets %d %s", status, told)
	}
	if status, _ := send(t, "alice", "POST", url+"/orders", "cart-7", `{"item":"tea","cents":451}`); status != 422 {
		t.Errorf("another order under the key gets %d", status)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}

	url, _, cmd = openShop(t, dir, "SHOP_DIES=charged")
	if status, told := send(t, "alice", "POST", url+"/orders", "cart-8", order); status != 0 {
		t.Errorf("it should have died, and answers %d %s", status, told)
	}
	cmd.Wait()
	url, operators, _ := openShop(t, dir)
	if resp, err := http.Get(operators + "/keys/key?tenant=alice&key=cart-8"); err != nil || resp.StatusCode != 200 {
		t.Errorf("operators are shown %v %v", resp, err)
	}
	status, told := 0, ""
	for deadline := time.Now().Add(time.Minute); status != 201 && time.Now().Before(deadline); { // the dead one's lease ends
		status, told = send(t, "alice", "POST", url+"/orders", "cart-8", order)
	}
	if status != 201 || !strings.Contains(told, "ch_3") {
		t.Errorf("the order that it died in gets %d %s", status, told)
	}
	if _, told := send(t, "alice", "GET", url+"/charges", "", ""); told != fmt.Sprintln(`{"charges":3,"cents":1350}`) {
		t.Errorf("the bank has %s", told)
	}
}
