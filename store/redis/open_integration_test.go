//go:build integration

package redis_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/store/redis"
)

// A server that evicts is refused, and says what to do; who asks for it gets it.
func TestEvictionIsRefused(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"} {
		s := startServer(t, "--maxmemory-policy", policy)
		_, err := redis.Open(t.Context(), redis.Config{Addrs: []string{s.addr}})
		if !errors.Is(err, redis.ErrEvicts) || !strings.Contains(err.Error(), policy) || !strings.Contains(err.Error(), "noeviction") {
			t.Errorf("%s: it is told %v", policy, err)
		}
		log := opened(t, s, func(c *redis.Config) { c.AllowEviction = true })
		if !strings.Contains(log, policy) {
			t.Errorf("%s: it logs %s", policy, log)
		}
	}
}

// opened opens a store, and returns what that logs.
func opened(t *testing.T, s *server, change func(*redis.Config)) string {
	t.Helper()
	var log bytes.Buffer
	open(t, []string{s.addr}, func(c *redis.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, change)
	return log.String()
}

// What a server can lose is said when it is opened.
func TestWhatCanBeLostIsLogged(t *testing.T) {
	for _, row := range []struct {
		args []string
		says string // "": nothing
	}{
		{nil, "appendonly no"},
		{[]string{"--appendonly", "yes"}, "appendfsync everysec"},
		{[]string{"--appendonly", "yes", "--appendfsync", "no"}, "appendfsync no"},
		{[]string{"--appendonly", "yes", "--appendfsync", "always"}, ""},
		{[]string{"--rename-command", "CONFIG", "", "--appendonly", "yes"}, "may not be asked"},
		{[]string{"--rename-command", "INFO", ""}, "maxmemory-policy"},
	} {
		log := opened(t, startServer(t, row.args...), func(*redis.Config) {})
		if row.says == "" && log != "" || !strings.Contains(log, row.says) {
			t.Errorf("%v: it logs %q, want %q", row.args, log, row.says)
		}
	}
}

// A user who may do what Config says, and nothing else, can do everything.
func TestTheLeastThatAUserMust(t *testing.T) {
	server := startServer(t)
	server.do(t, "ACL", "SETUSER", "keeper", "on", ">pw", "~once:*",
		"+set", "+get", "+mget", "+getrange", "+evalsha", "+eval", "+time", "+script|load", "+scan", "+cluster|slots")
	server.do(t, "ACL", "SETUSER", "default", "off")
	as := func(c *redis.Config) { c.Username, c.Password = "keeper", "pw" }
	log := opened(t, server, as)
	if !strings.Contains(log, "may not be asked") {
		t.Errorf("it logs %q", log)
	}
	s := open(t, []string{server.addr}, as)
	n := newTill(t, s, once.Park)
	for range 2 {
		if got, err := n.charge(t.Context(), "order-42"); err != nil || got != "run 1" {
			t.Errorf("it gets %q %v", got, err)
		}
	}
	if found, next, err := s.Unfinished(t.Context(), "", 10); err != nil || len(found) != 0 || next != "" {
		t.Errorf("listed are %v %q %v", found, next, err)
	}
	_, err := redis.Open(t.Context(), redis.Config{Addrs: []string{server.addr}, Username: "keeper", Password: "wrong"})
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("with a wrong password it is told %v", err)
	}
}

// Stores in two databases, and of two prefixes, share a server and nothing else.
func TestDatabasesAndPrefixesAreApart(t *testing.T) {
	server := startServer(t)
	for i, change := range []func(*redis.Config){
		func(*redis.Config) {},
		func(c *redis.Config) { c.DB = 1 },
		func(c *redis.Config) { c.Prefix = "on" },
		func(c *redis.Config) { c.Prefix = "*" },
	} {
		s := open(t, []string{server.addr}, change)
		put(t, s, claimed("order-42"))
		if found, _, err := s.Unfinished(t.Context(), "", 10); err != nil || len(found) != 1 {
			t.Errorf("store %d lists %+v %v", i, found, err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	server := startServer(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for what, row := range map[string]struct {
		cfg  redis.Config
		says string
	}{
		"a server that is silent": {redis.Config{Addrs: []string{silent.Addr().String()}, Timeout: time.Second}, silent.Addr().String()},
		"no server there":         {redis.Config{Addrs: []string{"127.0.0.1:1"}}, "127.0.0.1:1"},
		"a database there is not": {redis.Config{Addrs: []string{server.addr}, DB: 99}, "DB index"},
		"a server without TLS":    {redis.Config{Addrs: []string{server.addr}, TLS: &tls.Config{}, Timeout: time.Second}, server.addr},
	} {
		began := time.Now()
		if _, err := redis.Open(t.Context(), row.cfg); err == nil || !strings.Contains(err.Error(), row.says) || time.Since(began) > 4*time.Second {
			t.Errorf("%s: after %v it is told %v, want it to speak of %q", what, time.Since(began), err, row.says)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	port := freePort(t)
	startServer(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	s := open(t, []string{"127.0.0.1:" + port}, func(c *redis.Config) { c.TLS = &tls.Config{RootCAs: pool} })
	put(t, s, claimed("order-42"))
	if _, err := redis.Open(t.Context(), redis.Config{Addrs: []string{"127.0.0.1:" + port}, TLS: &tls.Config{}}); err == nil {
		t.Error("a certificate that nobody has signed is good enough")
	}
}

// certificate makes one for 127.0.0.1.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		pool.AppendCertsFromPEM(pem.EncodeToMemory(block))
	}
	return cert, key, pool
}
