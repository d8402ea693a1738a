package consume

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/oncepay/oncepay/once"
)

// Event is what consumers need of a CloudEvents 1.0 envelope in JSON, which is how oncepay's
// events are sent.
type Event struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Type    string          `json:"type"`    // "payment.succeeded"
	Subject string          `json:"subject"` // the resource it tells of
	Data    json.RawMessage `json:"data"`    // the resource as it was then
}

// ParseEvent reads an envelope. An error of it is a [Poison]: it will never be one.
func ParseEvent(body []byte) (e Event, err error) {
	if err := json.Unmarshal(body, &e); err != nil {
		return e, Poison(fmt.Errorf("consume: no CloudEvents envelope: %w", err))
	}
	if e.ID == "" || e.Type == "" {
		return e, Poison(errors.New("consume: a CloudEvents envelope needs id and type"))
	}
	return e, nil
}

// ErrNoID means that a message has no id that it could be told by when it comes again.
var ErrNoID = errors.New("consume: the message has no id")

// identify gives a message the id of its envelope, if it has none of its broker's.
func (m *Message) identify() error {
	if m.ID != "" {
		return nil
	}
	var e struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(m.Body, &e); err != nil || e.ID == "" {
		return Poison(ErrNoID)
	}
	m.ID = e.ID
	return nil
}

// hashed begins the names of ids that are no names themselves.
const hashed = "sha256:"

// name is an id as a part of a key: itself, or its hash if it is too long, or has other than
// visible ASCII.
func name(id string, most int) string {
	if len(id) <= most && once.CheckID(id) == nil && !strings.HasPrefix(id, hashed) {
		return id
	}
	return fmt.Sprintf("%s%x", hashed, sha256.Sum256([]byte(id)))
}
