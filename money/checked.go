package money

// Add returns a+b, and whether the sum fits into an int64.
func Add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// Sub returns a-b, and whether the difference fits into an int64.
func Sub(a, b int64) (difference int64, ok bool) {
	difference = a - b
	return difference, (difference < a) == (b > 0)
}

// Neg returns -a, and whether it fits into an int64: all do but -2^63.
func Neg(a int64) (negated int64, ok bool) {
	return Sub(0, a)
}
