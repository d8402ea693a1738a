package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Plain is the way to log in by which the server sees the password, and whoever reads on the way.
const Plain = "PLAIN"

// Mechanisms are the ways to log in, by SASL.
var Mechanisms = []string{Plain, "SCRAM-SHA-256", "SCRAM-SHA-512"}

// Login is as whom to come. The zero Login is nobody.
type Login struct {
	Mechanism string // one of Mechanisms
	User      string

	// PasswordFile has the password, and perhaps a line break. It is read at each connection, so that it
	// can be changed without a restart.
	PasswordFile string
}

func (l Login) mechanism() (sasl.Mechanism, error) {
	if l == (Login{}) {
		return nil, nil
	}
	if l.User == "" || l.PasswordFile == "" {
		return nil, fmt.Errorf("%q needs a user and the file of a password", l.Mechanism)
	}
	switch l.Mechanism {
	case Plain:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := l.password()
			return plain.Auth{User: l.User, Pass: password}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(l.scram), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(l.scram), nil
	}
	return nil, fmt.Errorf("%q is none of %s", l.Mechanism, strings.Join(Mechanisms, ", "))
}

func (l Login) scram(context.Context) (scram.Auth, error) {
	password, err := l.password()
	return scram.Auth{User: l.User, Pass: password}, err
}

func (l Login) password() (string, error) {
	text, err := os.ReadFile(l.PasswordFile)
	return strings.TrimRight(string(text), "\r\n"), err
}
