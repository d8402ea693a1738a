package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/oncepay/oncepay/money"
)

func TestAmountsAddAndSubtract(t *testing.T) {
	for name, row := range map[string]struct {
		got     func() (money.Amount, error)
		want    money.Amount
		wantErr error
	}{
		"a sum keeps the currency": {
			got:  func() (money.Amount, error) { return eur(250).Add(eur(-50)) },
			want: eur(200),
		},
		"a difference may be negative": {
			got:  func() (money.Amount, error) { return eur(1).Sub(eur(2)) },
			want: eur(-1),
		},
		"an opposite has the other sign": {
			got:  func() (money.Amount, error) { return eur(7).Neg() },
			want: eur(-7),
		},
		"euros and dollars have no sum": {
			got:     func() (money.Amount, error) { return eur(1).Add(money.Amount{Minor: 1, Currency: "USD"}) },
			wantErr: money.ErrCurrencyMismatch,
		},
		"euros and dollars have no difference, even of nothing": {
			got:     func() (money.Amount, error) { return eur(0).Sub(money.Amount{Currency: "USD"}) },
			wantErr: money.ErrCurrencyMismatch,
		},
		"a sum beyond int64 is refused": {
			got:     func() (money.Amount, error) { return eur(math.MaxInt64).Add(eur(1)) },
			wantErr: money.ErrOverflow,
		},
		"a difference beyond int64 is refused": {
			got:     func() (money.Amount, error) { return eur(math.MinInt64).Sub(eur(1)) },
			wantErr: money.ErrOverflow,
		},
		"the smallest int64 has no opposite": {
			got:     func() (money.Amount, error) { return eur(math.MinInt64).Neg() },
			wantErr: money.ErrOverflow,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.got()
			if got != row.want || !errors.Is(err, row.wantErr) {
				t.Errorf("got %v, %v; want %v, %v", got, err, row.want, row.wantErr)
			}
		})
	}
}

func TestAmountsAreWrittenForPeople(t *testing.T) {
	for want, amount := range map[string]money.Amount{
		"12.34 EUR":                 eur(1234),
		"-0.05 EUR":                 eur(-5),
		"0.00 EUR":                  eur(0),
		"5 JPY":                     {Minor: 5, Currency: "JPY"},
		"0 JPY":                     {Currency: "JPY"},
		"1.234 KWD":                 {Minor: 1234, Currency: "KWD"},
		"-0.0001 CLF":               {Minor: -1, Currency: "CLF"},
		"92233720368547758.07 EUR":  eur(math.MaxInt64),
		"-92233720368547758.08 EUR": eur(math.MinInt64),
		"-9223372036854775808 JPY":  {Minor: math.MinInt64, Currency: "JPY"},
		"5 ABC":                     {Minor: 5, Currency: "ABC"},
		"-922337203685477.5808 UYW": {Minor: math.MinInt64, Currency: "UYW"},
		"9223372036854775.807 BHD":  {Minor: math.MaxInt64, Currency: "BHD"},
	} {
		if got := amount.String(); got != want {
			t.Errorf("%d of %s is written %q, want %q", amount.Minor, amount.Currency, got, want)
		}
	}
}

// FuzzArithmetic holds the checked helpers to integers that cannot overflow.
func FuzzArithmetic(f *testing.F) {
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, a := range edges {
		for _, b := range edges {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		x, y := big.NewInt(a), big.NewInt(b)
		sum, ok := money.Add(a, b)
		agree(t, "Add", new(big.Int).Add(x, y), sum, ok)
		difference, ok := money.Sub(a, b)
		agree(t, "Sub", new(big.Int).Sub(x, y), difference, ok)
		negated, ok := money.Neg(a)
		agree(t, "Neg", new(big.Int).Neg(x), negated, ok)

		total, err := eur(a).Add(eur(b))
		if want := new(big.Int).Add(x, y); want.IsInt64() != (err == nil) || err == nil && total != eur(want.Int64()) {
			t.Errorf("Amount.Add: got %v, %v; want %v", total, err, want)
		}
	})
}

func agree(t *testing.T, op string, want *big.Int, got int64, ok bool) {
	t.Helper()
	if ok != want.IsInt64() || ok && got != want.Int64() {
		t.Errorf("%s: got %d, %t; want %v", op, got, ok, want)
	}
}

// FuzzString reads back what String wrote.
func FuzzString(f *testing.F) {
	f.Add(int64(-5), uint8(0))
	f.Add(int64(math.MinInt64), uint8(3))
	currencies := []money.Currency{"EUR", "JPY", "KWD", "CLF"}
	f.Fuzz(func(t *testing.T, minor int64, pick uint8) {
		c := currencies[int(pick)%len(currencies)]
		s := money.Amount{Minor: minor, Currency: c}.String()
		got, ok := new(big.Rat).SetString(s[:len(s)-len(" EUR")])
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.Digits())), nil)
		if want := new(big.Rat).SetFrac(big.NewInt(minor), scale); !ok || got.Cmp(want) != 0 {
			t.Errorf("%d of %s is written %q", minor, c, s)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	total := eur(0)
	for b.Loop() {
		total, _ = total.Add(eur(1))
	}
}

func BenchmarkString(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = eur(123456).String()
	}
}

func eur(minor int64) money.Amount {
	return money.Amount{Minor: minor, Currency: "EUR"}
}
