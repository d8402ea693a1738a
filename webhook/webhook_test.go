package webhook_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/webhook"
)

// The published vector, which the reference implementations test with
// (github.com/svix/svix-webhooks, go/webhook_test.go).
const (
	published      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	publishedID    = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	publishedBody  = `{"test": 2432232314}`
	publishedProof = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

var publishedAt = time.Unix(1614265330, 0)

func secret(t *testing.T, s string) webhook.Secret {
	t.Helper()
	parsed, err := webhook.ParseSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// signed returns the headers of the published message.
func signed(t *testing.T, secrets ...webhook.Secret) http.Header {
	t.Helper()
	h := http.Header{}
	if err := webhook.Sign(h, webhook.Message{ID: publishedID, At: publishedAt, Body: []byte(publishedBody)}, secrets...); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSignGivesThePublishedSignature(t *testing.T) {
	h := signed(t, secret(t, published))
	for name, want := range map[string]string{
		"webhook-id": publishedID, "webhook-timestamp": "1614265330", "webhook-signature": publishedProof,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestVerifyReturnsWhatWasSigned(t *testing.T) {
	v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}}
	got, err := v.Verify(signed(t, secret(t, published)), []byte(publishedBody), publishedAt)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != publishedID || !got.At.Equal(publishedAt) || string(got.Body) != publishedBody {
		t.Errorf("got %+v", got)
	}
}

// Every single bit of a message counts, also those bits of a signature that
// base64 leaves without a meaning.
func TestOneBitChangedIsRefused(t *testing.T) {
	v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}, Tolerance: 1 << 62}
	for _, part := range []string{"body", webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		h, body := signed(t, secret(t, published)), []byte(publishedBody)
		whole := body
		if part != "body" {
			whole = []byte(h.Get(part))
		}
		for bit := range len(whole) * 8 {
			changed := bytes.Clone(whole)
			changed[bit/8] ^= 1 << (bit % 8)
			if part == "body" {
				body = changed
			} else {
				h[part] = []string{string(changed)}
			}
			if _, err := v.Verify(h, body, publishedAt); err == nil {
				t.Fatalf("bit %d of %s changed: verified %q", bit, part, changed)
			}
		}
	}
}

func TestTheTimestampHasATolerance(t *testing.T) {
	for _, row := range []struct {
		sentence  string
		tolerance time.Duration
		off       time.Duration // of the receiver's clock
		want      error
	}{
		{"five minutes late is in time", 0, 5 * time.Minute, nil},
		{"five minutes and a moment late is too late", 0, 5*time.Minute + time.Nanosecond, webhook.ErrTimestamp},
		{"five minutes early is in time", 0, -5 * time.Minute, nil},
		{"five minutes and a moment early is too early", 0, -5*time.Minute - time.Nanosecond, webhook.ErrTimestamp},
		{"a tolerance that is set counts", time.Second, 2 * time.Second, webhook.ErrTimestamp},
		{"a tolerance that is set counts in the other direction", time.Second, -2 * time.Second, webhook.ErrTimestamp},
		{"a clock ten years ahead is out of tolerance", 0, 10 * 365 * 24 * time.Hour, webhook.ErrTimestamp},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}, Tolerance: row.tolerance}
			_, err := v.Verify(signed(t, secret(t, published)), []byte(publishedBody), publishedAt.Add(row.off))
			if !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

// A timestamp is refused by its tolerance alone, however good the signature:
// that is what stops a replay.
func TestATimestampErrorSaysHowFarOffItIs(t *testing.T) {
	v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}}
	_, err := v.Verify(signed(t, secret(t, published)), []byte(publishedBody), publishedAt.Add(time.Hour))
	var off *webhook.TimestampError
	if !errors.As(err, &off) || off.Now.Sub(off.At) != time.Hour || !strings.Contains(err.Error(), "1h0m0s old") {
		t.Errorf("got %v", err)
	}
	_, err = v.Verify(signed(t, secret(t, published)), []byte(publishedBody), publishedAt.Add(-time.Hour))
	if !strings.Contains(err.Error(), "1h0m0s ahead") {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreNeededAndRead(t *testing.T) {
	for _, row := range []struct {
		sentence, header, value string
		want                    error
	}{
		{"no id is missing", webhook.HeaderID, "", webhook.ErrMissing},
		{"no timestamp is missing", webhook.HeaderTimestamp, "", webhook.ErrMissing},
		{"no signature is missing", webhook.HeaderSignature, "", webhook.ErrMissing},
		{"a full stop in the id is malformed", webhook.HeaderID, "msg.1", webhook.ErrMalformed},
		{"an id of 256 characters is malformed", webhook.HeaderID, strings.Repeat("m", 256), webhook.ErrMalformed},
		{"a sign before the timestamp is malformed", webhook.HeaderTimestamp, "+1614265330", webhook.ErrMalformed},
		{"a timestamp with a fraction is malformed", webhook.HeaderTimestamp, "1614265330.5", webhook.ErrMalformed},
		{"a timestamp beyond all years is malformed", webhook.HeaderTimestamp, "9223372036854775807", webhook.ErrMalformed},
		{"a date is malformed", webhook.HeaderTimestamp, "2021-02-25T15:02:10Z", webhook.ErrMalformed},
		{"a signature without its version matches nothing", webhook.HeaderSignature, publishedProof[3:], webhook.ErrSignature},
		{"a signature of another version matches nothing", webhook.HeaderSignature, "v2," + publishedProof[3:], webhook.ErrSignature},
		{"a list of nothing matches nothing", webhook.HeaderSignature, " ", webhook.ErrSignature},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			h := signed(t, secret(t, published))
			h.Set(row.header, row.value)
			v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}}
			_, err := v.Verify(h, []byte(publishedBody), publishedAt)
			if !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			var which *webhook.HeaderError
			if errors.As(err, &which) && which.Header != row.header {
				t.Errorf("got the header %s, want %s", which.Header, row.header)
			}
		})
	}
}

func TestSecretsRotate(t *testing.T) {
	former, current, foreign := secret(t, published), webhook.NewSecret([32]byte{1}), webhook.NewSecret([32]byte{2})
	type secrets = []webhook.Secret
	for _, row := range []struct {
		sentence       string
		signs, expects secrets
		want           error
	}{
		{"the receiver changes first", secrets{former}, secrets{current, former}, nil},
		{"the sender changes first", secrets{former, current}, secrets{former}, nil},
		{"both know both", secrets{former, current}, secrets{current, former}, nil},
		{"the former secret is gone", secrets{former}, secrets{current}, webhook.ErrSignature},
		{"a foreign secret is no secret", secrets{foreign}, secrets{current, former}, webhook.ErrSignature},
		{"who has no secret believes nothing", secrets{current}, nil, webhook.ErrSignature},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			h := signed(t, row.signs...)
			_, err := webhook.Verifier{Secrets: row.expects}.Verify(h, []byte(publishedBody), publishedAt)
			if !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

func TestSignaturesOfOtherVersionsArePassedOver(t *testing.T) {
	h := signed(t, secret(t, published))
	h.Set(webhook.HeaderSignature, "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5B v2,x "+publishedProof)
	v := webhook.Verifier{Secrets: []webhook.Secret{secret(t, published)}}
	if _, err := v.Verify(h, []byte(publishedBody), publishedAt); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeSignedIsNot(t *testing.T) {
	s := secret(t, published)
	for sentence, err := range map[string]error{
		"without a secret":       webhook.Sign(http.Header{}, webhook.Message{ID: "a", At: publishedAt}),
		"without an id":          webhook.Sign(http.Header{}, webhook.Message{At: publishedAt}, s),
		"with a space in the id": webhook.Sign(http.Header{}, webhook.Message{ID: "a b", At: publishedAt}, s),
		"with a dot in the id":   webhook.Sign(http.Header{}, webhook.Message{ID: "a.b", At: publishedAt}, s),
		"before 1970":            webhook.Sign(http.Header{}, webhook.Message{ID: "a", At: time.Unix(-1, 0)}, s),
	} {
		if err == nil {
			t.Errorf("%s: signed", sentence)
		}
	}
}

func TestSecretsAreReadStrictly(t *testing.T) {
	for _, row := range []struct {
		sentence, text string
		good           bool
	}{
		{"24 bytes are enough", published, true},
		{"64 bytes are the most", ofBytes(64), true},
		{"23 bytes are too few", ofBytes(23), false},
		{"65 bytes are too many", ofBytes(65), false},
		{"the prefix is needed", published[6:], false},
		{"the prefix of a private key is another", "whsk_" + published[6:], false},
		{"base64 is needed", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", false},
		{"base64url is another", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", false},
		{"one spelling of the last byte is right", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB==", false},
		{"nothing is no secret", "", false},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			s, err := webhook.ParseSecret(row.text)
			if (err == nil) != row.good {
				t.Fatalf("got %v", err)
			}
			if row.good && s.Reveal() != row.text {
				t.Errorf("revealed as %q, want %q", s.Reveal(), row.text)
			}
			if err != nil && len(row.text) > 9 && strings.Contains(err.Error(), row.text[6:9]) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func ofBytes(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n))
}

func TestASecretDoesNotShowItself(t *testing.T) {
	s := secret(t, published)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(verb, s); strings.Contains(got, "MfKQ") || strings.Contains(got, "31f290") || strings.Contains(got, "0x31") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}
