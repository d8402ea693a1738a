package id_test

import (
	"fmt"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

func Example() {
	s := id.NewSource([32]byte{}) // id.Seed() in a program
	now := time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)
	a, b := s.New("tr_", now), s.New("tr_", now)
	fmt.Println(a)
	fmt.Println(b)
	fmt.Println(a < b, id.Valid(a, "tr_"), id.Valid(a, "acc_"))

	made, _ := id.Time(a)
	fmt.Println(made)
	// Output:
	// tr_01m7wd7tg0e00as2hpdq77x1ys
	// tr_01m7wd7tg0e00tqhs7rtf42vrt
	// true true false
	// 2026-11-20 12:00:00 +0000 UTC
}

func ExampleFirst() {
	day := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	fmt.Println("id >=", id.First("tr_", day))
	fmt.Println("id < ", id.First("tr_", day.AddDate(0, 0, 1)))
	// Output:
	// id >= tr_01m7v41f00e008000000000000
	// id <  tr_01m7xpe600e008000000000000
}

func ExampleUUIDTime() {
	made, ok := id.UUIDTime("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
	fmt.Println(made, ok)
	_, ok = id.UUIDTime("order-4711")
	fmt.Println(ok)
	// Output:
	// 2022-02-22 19:22:22 +0000 UTC true
	// false
}
