// Package money holds amounts of money so that they cannot go wrong quietly.
//
// An [Amount] is a whole number of minor units (cents, yen, fils) of one
// [Currency]:
//
//	fee := money.Amount{Minor: 250, Currency: "EUR"} // 2.50 EUR
//
// # What is promised
//
// There is no float anywhere. A sum that does not fit, or that mixes
// currencies, is an error and never a wrong number.
//
// # What is not promised
//
// Nothing is rounded, split or converted: whoever needs that decides who gets
// the last cent. A Currency that did not come from [ParseCurrency] is not
// checked.
package money

import (
	"errors"
	"fmt"
)

// ErrOverflow means that the result does not fit into an int64. No retry
// helps; the amounts themselves are absurd.
var ErrOverflow = errors.New("money: amount does not fit into 64 bits")

// ErrCurrencyMismatch means that two amounts are of different currencies and
// so have no sum.
var ErrCurrencyMismatch = errors.New("money: currencies differ")

// Amount is a number of minor units of one currency. It may be negative. The
// zero value is nothing of no currency. Amounts may be compared with ==.
type Amount struct {
	Minor    int64
	Currency Currency
}

// Add returns a+b. It fails with [ErrCurrencyMismatch] or [ErrOverflow], and
// then returns the zero Amount.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, mismatch(a, b)
	}
	sum, ok := Add(a.Minor, b.Minor)
	return a.with(sum, ok)
}

// Sub returns a-b. It fails as [Amount.Add] does.
func (a Amount) Sub(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, mismatch(a, b)
	}
	difference, ok := Sub(a.Minor, b.Minor)
	return a.with(difference, ok)
}

// Neg returns -a. It fails with [ErrOverflow] for the one int64 that has no
// opposite, and then returns the zero Amount.
func (a Amount) Neg() (Amount, error) {
	negated, ok := Neg(a.Minor)
	return a.with(negated, ok)
}

// String writes a for people: "12.34 EUR", "5 JPY", "-0.05 EUR", with as many
// decimals as the currency has. It is for logs and pages; the wire carries
// minor units.
func (a Amount) String() string {
	size := uint64(a.Minor)
	sign := ""
	if a.Minor < 0 {
		size, sign = -size, "-" // unsigned, so that -2^63 works too
	}
	n := a.Currency.Digits()
	digits := fmt.Sprintf("%0*d", n+1, size)
	if point := len(digits) - n; n > 0 {
		digits = digits[:point] + "." + digits[point:]
	}
	return sign + digits + " " + string(a.Currency)
}

func (a Amount) with(minor int64, ok bool) (Amount, error) {
	if !ok {
		return Amount{}, ErrOverflow
	}
	return Amount{Minor: minor, Currency: a.Currency}, nil
}

func mismatch(a, b Amount) error {
	return fmt.Errorf("%w: %s and %s", ErrCurrencyMismatch, a.Currency, b.Currency)
}
