package money_test

import (
	"errors"
	"fmt"
	"math"

	"github.com/oncepay/oncepay/money"
)

func Example() {
	price := money.Amount{Minor: 1234, Currency: "EUR"}
	fee := money.Amount{Minor: 5, Currency: "EUR"}
	total, err := price.Sub(fee)
	fmt.Println(total, err)

	_, err = price.Add(money.Amount{Minor: 5, Currency: "JPY"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, money.ErrCurrencyMismatch))
	// Output:
	// 12.29 EUR <nil>
	// money: currencies differ: EUR and JPY
	// true
}

func ExampleParseCurrency() {
	c, _ := money.ParseCurrency("KWD")
	fmt.Println(c, c.Digits())

	for _, s := range []string{"eur", "XAU", "ABC"} {
		_, err := money.ParseCurrency(s)
		fmt.Println(err)
	}
	// Output:
	// KWD 3
	// a currency is written in upper case: EUR, not eur
	// XAU has no minor unit, so no amount can be in it
	// "ABC" is not an active ISO 4217 currency code
}

func ExampleAdd() {
	sum, ok := money.Add(40, 2)
	fmt.Println(sum, ok)
	_, ok = money.Add(math.MaxInt64, 1)
	fmt.Println(ok)
	// Output:
	// 42 true
	// false
}
